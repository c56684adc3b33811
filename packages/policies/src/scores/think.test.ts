import { describe, expect, it } from "vitest";
import type { HeadRows } from "./head-rows.js";
import { thinkChannels } from "./think.js";

const keys = { data: Float32Array.of(1, 2, 0, 1, 1, 2, 2, 1), heads: 1, rows: 2, width: 4 };
const queries = { data: Float32Array.of(2, 1, 1, 0, 0, 1, 1, 2), heads: 2, rows: 1, width: 4 };

describe("thinkChannels", () => {
  // Energies of keys (1 4 2 1), of queries, averaged over the group, (2 1 1 2): products 2, 4, 2 and 2.
  it.each([
    [0, [0, 1, 2, 3]],
    [0.25, [0, 1, 2]],
    [0.5, [0, 1]],
    [0.7, [0, 1]],
    [0.75, [1]],
    [1, []],
  ])("without a share of %f keeps the channels %o", (removed, kept) => {
    expect(thinkChannels({ keys, queries, removed }).map((list) => Array.from(list))).toEqual([kept]);
  });

  it("removes what changes scores least", () => {
    const { data, heads, rows, width }: HeadRows = {
      data: Float32Array.from({ length: 30 }, (_, i) => Math.sin(i * i) * (1 + (i % 5))),
      heads: 1,
      rows: 6,
      width: 5,
    };
    const query = { data: data.slice(10).map((value) => value + 0.3), heads: 1, rows: 4, width: 5 };
    /** Squared change of all scores without channel `j`. */
    const change = (j: number) => {
      let sum = 0;
      for (let q = 0; q < 4; q++) {
        for (let k = 0; k < 6; k++) sum += (query.data[q * width + j]! * data[k * width + j]!) ** 2;
      }
      return sum;
    };
    const changes = [0, 1, 2, 3, 4].map(change);
    const least = changes.indexOf(Math.min(...changes));
    const [kept] = thinkChannels({ keys: { data, heads, rows, width }, queries: query, removed: 0.2 });
    expect(Array.from(kept!)).toEqual([0, 1, 2, 3, 4].filter((j) => j !== least));
  });
});
