import { ropeTables } from "@kvfold/rope";
import { describe, expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { queryMoments, turnMoments } from "./query-moments.js";

describe("queryMoments", () => {
  it("takes mean and covariance, without the first queries", () => {
    const data = Float32Array.of(99, -99, 1, 2, 3, 6);
    const { mean, covariance } = queryMoments({ data, heads: 1, rows: 3, width: 2 }, 1);
    expect(Array.from(mean)).toEqual([2, 4]);
    expect(Array.from(covariance)).toEqual([1, 2, 2, 4]);
  });

  it.each([1, 4, 7])("takes the covariance of all pairs of %i numbers", (width) => {
    const data = Float32Array.from({ length: 6 * width }, (_, at) => Math.fround(Math.sin(at * at)));
    const { mean, covariance } = queryMoments({ data, heads: 1, rows: 6, width }, 0);
    const rows = Array.from({ length: 6 }, (_, row) => data.subarray(row * width, (row + 1) * width));
    const expected = Array.from({ length: width * width }, (_, at) => {
      const [i, j] = [Math.floor(at / width), at % width];
      return rows.reduce((sum, row) => sum + ((row[i]! - mean[i]!) * (row[j]! - mean[j]!)) / 6, 0);
    });
    expect(distance(covariance, expected)).toBeLessThan(1e-14);
  });

  it("takes the covariance of numbers that lie far from zero", () => {
    const near = Float32Array.from({ length: 400 }, (_, at) => ((at * at) % 17) / 16);
    const far = near.map((value) => value + 4096);
    const [a, b] = [near, far].map((data) => queryMoments({ data, heads: 1, rows: 200, width: 2 }, 0));
    expect(distance(a!.covariance, b!.covariance)).toBeLessThan(1e-7);
  });

  it("refuses a text of sinks alone", () => {
    expect(() => queryMoments({ data: new Float32Array(8), heads: 1, rows: 4, width: 2 })).toThrow(
      "queryMoments: expected more queries than the 4 skipped ones, found 4",
    );
  });
});

describe("turnMoments", () => {
  const moments = {
    mean: Float64Array.of(1, 0, 3, 5),
    covariance: Float64Array.of(1, 0, 0, 4, 2, 1, 1, 3),
    heads: 2,
    width: 2,
  };
  const at = (...positions: number[]) =>
    ropeTables({ inverseFrequencies: Float64Array.of(Math.PI / 2), positions, dtype: "float64" });

  it("turns both by a quarter at position 1", () => {
    const { mean, covariance } = turnMoments(moments, at(1));
    expect(distance(mean, [0, 1, -5, 3])).toBeLessThan(1e-12);
    expect(distance(covariance, [4, 0, 0, 1, 3, -1, -1, 2])).toBeLessThan(1e-12);
  });

  it("averages the rotation before it is applied", () => {
    // Positions 0 and 1: the mean rotation is (1 1; -1 1) / 2 for rows, which keeps half of the lengths' squares.
    const { mean, covariance } = turnMoments(moments, at(0, 1));
    expect(distance(mean, [0.5, 0.5, -1, 4])).toBeLessThan(1e-12);
    expect(distance(covariance.subarray(0, 4), [1.25, -0.75, -0.75, 1.25])).toBeLessThan(1e-12);
    expect(distance(turnMoments(moments, at(0, 2)).covariance, [0, 0, 0, 0, 0, 0, 0, 0])).toBeLessThan(1e-12);
  });
});
