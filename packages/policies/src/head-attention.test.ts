import { describe, expect, it } from "vitest";
import { distance } from "../test/near.js";
import { headView, layerView } from "../test/views.js";
import { attentionOf, attentionSumsOf, queriesOf } from "./head-attention.js";
import type { AttentionRows } from "./scores/attention-rows.js";

const collect = (attention: AttentionRows) => {
  const rows: number[][] = [];
  attention.visit((row, head, query) => rows.push([head, query, ...row]));
  return rows;
};

describe("attentionOf", () => {
  const layer = layerView(6);
  const { attention, queries, ...rest } = headView(6, 1);

  it("is the decoder's, or else what the queries come to", () => {
    const stored = collect(attentionOf({ ...rest, attention }, layer, 2, "test"));
    const computed = collect(attentionOf({ ...rest, queries }, layer, 2, "test"));
    expect(stored.map(({ length }) => length)).toEqual([7, 8, 7, 8]);
    for (const [index, row] of stored.entries()) expect(distance(computed[index]!, row)).toBeLessThan(1e-6);
  });

  it("takes queries where the decoder shows less attention than is wanted", () => {
    const last = Float32Array.of(...attention!.subarray(30, 36), ...attention!.subarray(66, 72));
    expect(attentionOf({ ...rest, queries, attention: last }, layer, 3, "test").queries).toBe(3);
    expect(attentionOf({ ...rest, attention: last }, layer, 3, "test").queries).toBe(1);
  });

  it("knows what queries see where tokens have gone", () => {
    const positions = Int32Array.of(0, 2, 5);
    const keys = rest.keys.subarray(0, 12);
    const head = { ...rest, tokens: 3, positions, keys, queries };
    // The queries of the tokens 3, 4 and 5.
    expect(attentionOf(head, layer, 3, "test").places).toEqual({ past: 2, visible: Int32Array.of(2, 2, 3) });
  });

  it("names the policy that looks at what is not there", () => {
    expect(() => attentionOf(rest, layer, 1, "tova:0.5")).toThrow(
      "tova:0.5: expected the queries of the last tokens",
    );
  });

  it("gives the last queries of every query head", () => {
    const two = queriesOf({ ...rest, queries }, 2, "test");
    expect([two.heads, two.rows, two.width]).toEqual([2, 2, 4]);
    expect(Array.from(two.data)).toEqual([...queries!.subarray(16, 24), ...queries!.subarray(40, 48)]);
  });
});

describe("attentionSumsOf", () => {
  const layer = layerView(6);
  const { attentionSums, ...rest } = headView(6, 1);

  it("knows which of the summed queries see each token", () => {
    const sums = Float32Array.of(1, 2, 3, 4, 5, 6);
    const head = {
      ...rest,
      tokens: 3,
      positions: Int32Array.of(0, 3, 5),
      attentionSums: { sums, queries: 4 },
    };
    // The queries of the tokens 2, 3, 4 and 5.
    const places = { past: 1, visible: Int32Array.of(1, 2, 2, 3) };
    expect(attentionSumsOf(head, layer, "test")).toEqual({ sums, kvHeads: 1, tokens: 3, places });
  });

  it("names the policy that looks at sums that are not there", () => {
    expect(attentionSumsOf({ ...rest, attentionSums }, layer, "test").sums).toBe(attentionSums!.sums);
    expect(() => attentionSumsOf(rest, layer, "observed:0.5")).toThrow(
      "observed:0.5: expected sums of the attention of the last tokens, found none",
    );
  });
});
