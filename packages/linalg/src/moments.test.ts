import fc from "fast-check";
import { Matrix as MlMatrix, covariance as mlCovariance } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { maxDifference } from "../test/max-difference.js";
import { randomMatrix, seeds } from "../test/random-matrix.js";
import { slice } from "./blocks.js";
import { createMatrix, type Matrix } from "./matrix.js";
import { covariance, type Moments, meanOf, mergeMoments, secondMoment, sliceMoments } from "./moments.js";
import { transposeMultiply } from "./multiply.js";

const ones = (count: number) => createMatrix(count, 1, new Float64Array(count).fill(1));

const momentsOf = (rows: Matrix): Moments => ({
  width: rows.cols,
  count: rows.rows,
  sum: transposeMultiply(ones(rows.rows), rows).data,
  gram: transposeMultiply(rows, rows).data,
});

/** Sums of at most 20 values below 1, in another order. */
const tolerance = 20 * 2 ** -52;

describe("moments", () => {
  it("are the hand-computed ones for rows 1 and 3", () => {
    const moments = momentsOf(createMatrix(2, 1, Float64Array.of(1, 3)));
    expect(Array.from(secondMoment(moments).data)).toEqual([5]);
    expect(Array.from(meanOf(moments).data)).toEqual([2]);
    expect(Array.from(covariance(moments).data)).toEqual([1]);
  });

  it("do not depend on how rows are cut into parts, nor on their order", () => {
    const size = fc.integer({ min: 1, max: 8 });
    fc.assert(
      fc.property(size, size, size, seeds, (first, second, width, seed) => {
        const rows = randomMatrix(first + second, width, seed);
        const head = momentsOf(slice(rows, { rows: [0, first] }));
        const tail = momentsOf(slice(rows, { rows: [first, first + second] }));
        for (const merged of [mergeMoments(head, tail), mergeMoments(tail, head)]) {
          expect(merged.count).toBe(first + second);
          expect(maxDifference(covariance(merged), covariance(momentsOf(rows)))).toBeLessThan(tolerance);
        }
      }),
    );
  });

  it("agree with ml-matrix's covariance", () => {
    const rows = randomMatrix(50, 6, 3);
    const oracle = mlCovariance(MlMatrix.from1DArray(50, 6, rows.data)).to1DArray();
    const ours = covariance(momentsOf(rows));
    // ml-matrix divides by count - 1; the tolerance is some roundings of a value below 1.
    const expected = createMatrix(
      6,
      6,
      Float64Array.from(oracle, (value) => (value * 49) / 50),
    );
    expect(maxDifference(ours, expected)).toBeLessThan(1e-14);
  });

  it("merge without changing either side", () => {
    const a = momentsOf(ones(1));
    mergeMoments(a, a);
    expect(a).toEqual(momentsOf(ones(1)));
  });

  it("slice to the moments of those components", () => {
    const rows = randomMatrix(5, 6, 4);
    const sliced = sliceMoments(momentsOf(rows), 2, 5);
    expect(sliced).toEqual(momentsOf(slice(rows, { cols: [2, 5] })));
    expect(() => sliceMoments(sliced, 1, 4)).toThrow(/components .*\[0, 3\), found \[1, 4\)/);
  });

  it("refuse another width, and averages of nothing", () => {
    const none = momentsOf(createMatrix(0, 2));
    expect(() => mergeMoments(none, momentsOf(ones(1)))).toThrow(/one width, found 2 and 1/);
    expect(() => covariance(none)).toThrow(/at least one row/);
  });
});
