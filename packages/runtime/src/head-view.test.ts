import { describe, expect, it } from "vitest";
import { headView } from "./head-view.js";
import { Tensor } from "./port.js";
import { appendRows, createRaggedLayer } from "./ragged-layer.js";

const slot = (part: "key" | "value", heads: number) => ({
  past: `past_key_values.0.${part}`,
  present: `new_key_values.0.${part}`,
  type: "float32" as const,
  heads,
  size: 1,
});

/** One head of two KV heads for keys and one for values, with two tokens. */
function layerOfTwoTokens() {
  const layer = createRaggedLayer({ key: slot("key", 2), value: slot("value", 1) }, { heads: 1, run: 1 }, 4);
  const keys = new Tensor("float32", Float32Array.of(1, 2, 10, 20), [1, 2, 2, 1]);
  const values = new Tensor("float32", Float32Array.of(5, 6), [1, 1, 2, 1]);
  appendRows(layer, [keys, values], [0, 1], 0);
  return layer;
}

describe("headView", () => {
  it("takes numbers from the cache once, when they are first read", () => {
    const layer = layerOfTwoTokens();
    const head = headView(layer, 0, { queryHeads: 2, observed: undefined });
    (layer.tensors[1]!.data as Float32Array)[0] = 7;
    expect([...head.values]).toEqual([7, 6]);
    expect([...head.keys]).toEqual([1, 10, 2, 20]);
    expect(head.keys).toBe(head.keys);
    expect(head.queries).toBeUndefined();
    expect(head.attention).toBeUndefined();
    expect(head.attentionSums).toBeUndefined();
  });

  it("reads no numbers for a policy that looks at tokens and positions alone", () => {
    const head = headView({ ...layerOfTwoTokens(), tensors: [] }, 0, { queryHeads: 2, observed: undefined });
    expect([head.tokens, [...head.positions]]).toEqual([2, [0, 1]]);
    expect(() => head.keys).toThrow(TypeError);
  });
});
