import { describe, expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { mergeSets, mergingSets, mergingSetsWithin, neighbourSimilarities } from "./kv-merger.js";

const free = (tokens: number) => new Uint8Array(tokens);

describe("neighbourSimilarities", () => {
  it("takes the cosine of each key and the next, and 0 beside a zero key", () => {
    const keys = Float32Array.of(1, 0, 3, 0, 3, 4, 0, 0, 1, 1);
    expect(distance(neighbourSimilarities(keys, 2), [1, 0.6, 0, 0])).toBeLessThan(1e-6);
  });
});

describe("mergingSets", () => {
  const similarities = Float32Array.of(0.9, 0.8, 0.5, 0.95);
  it("joins runs of similar neighbours", () => {
    expect(mergingSets({ similarities, isProtected: free(5), threshold: 0.75 })).toEqual([
      [0, 3],
      [3, 5],
    ]);
  });

  it("leaves protected tokens alone", () => {
    const isProtected = Uint8Array.of(0, 1, 0, 0, 0);
    expect(mergingSets({ similarities, isProtected, threshold: 0 })).toEqual([
      [0, 1],
      [1, 2],
      [2, 5],
    ]);
  });

  it("merges nothing above 1", () => {
    const all = Float32Array.of(1, 1);
    expect(mergingSets({ similarities: all, isProtected: free(3), threshold: 1.01 }).length).toBe(3);
  });
});

describe("mergingSetsWithin", () => {
  const similarities = Float32Array.of(0.9, 0.8, 0.9, 0.5);
  it.each([
    [
      5,
      [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
        [4, 5],
      ],
    ],
    // Of the equal pairs the earlier one.
    [
      4,
      [
        [0, 2],
        [2, 3],
        [3, 4],
        [4, 5],
      ],
    ],
    [
      3,
      [
        [0, 2],
        [2, 4],
        [4, 5],
      ],
    ],
    [
      2,
      [
        [0, 4],
        [4, 5],
      ],
    ],
    [1, [[0, 5]]],
  ])("leaves %i tokens", (count, sets) => {
    expect(mergingSetsWithin({ similarities, isProtected: free(5), count })).toEqual(sets);
  });

  it("leaves more where too many are protected", () => {
    const isProtected = Uint8Array.of(0, 0, 1, 0, 0);
    expect(mergingSetsWithin({ similarities, isProtected, count: 1 })).toEqual([
      [0, 2],
      [2, 3],
      [3, 5],
    ]);
  });
});

describe("mergeSets", () => {
  it("takes the plain mean of equal keys, at the place of the most attended", () => {
    const merged = mergeSets({
      keys: Float32Array.of(1, 0, 1, 0, 0, 2),
      values: Float32Array.of(2, 6, -5),
      attention: [1, 2, 9],
      sets: [
        [0, 2],
        [2, 3],
      ],
    });
    expect(Array.from(merged.kept)).toEqual([1, 2]);
    expect(Array.from(merged.keys)).toEqual([1, 0, 0, 2]);
    expect(Array.from(merged.values)).toEqual([4, -5]);
    expect(Array.from(merged.sizes)).toEqual([2, 1]);
  });

  it("weighs by the distance to the pivot", () => {
    // Distance 1: g = exp(-1/2) = 0.6065307 at first, so σ = 1.6065307 / (2 √2) = 0.5679944 and g = exp(-1 / (2 σ²)).
    const weight = Math.exp(-1 / (2 * 0.567_994_4 ** 2));
    const merged = mergeSets({
      keys: Float32Array.of(1, 1, 1, 0),
      values: Float32Array.of(10, 0),
      attention: [0, 1],
      sets: [[0, 2]],
    });
    expect(weight).toBeCloseTo(0.2123, 4);
    expect(distance(merged.keys, [1, weight / (1 + weight)])).toBeLessThan(1e-6);
    expect(distance(merged.values, [(10 * weight) / (1 + weight)])).toBeLessThan(1e-5);
  });
});
