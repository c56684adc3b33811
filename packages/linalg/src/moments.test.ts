import fc from "fast-check";
import { Matrix as MlMatrix, covariance as mlCovariance } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { maxDifference } from "../test/max-difference.js";
import { randomMatrix, seeds } from "../test/random-matrix.js";
import { slice } from "./blocks.js";
import { createMatrix, type Matrix, toFloat32 } from "./matrix.js";
import {
  accumulateMoments,
  covariance,
  createMoments,
  type MomentBlock,
  meanOf,
  mergeMoments,
  secondMoment,
  sliceMoments,
} from "./moments.js";
import { transposeMultiply } from "./multiply.js";

const ones = (count: number) => createMatrix(count, 1, new Float64Array(count).fill(1));

const momentsOf = (rows: Matrix): MomentBlock => ({
  count: rows.rows,
  sum: transposeMultiply(ones(rows.rows), rows).data,
  gram: transposeMultiply(rows, rows).data,
});

/** Sums of at most 20 values below 1, in another order. */
const tolerance = 20 * 2 ** -52;

describe("moments", () => {
  it("are the hand-computed ones for rows 1 and 3", () => {
    const moments = accumulateMoments(createMoments(1), {
      count: 2,
      sum: Float32Array.of(4),
      gram: Float32Array.of(10),
    });
    expect(Array.from(secondMoment(moments).data)).toEqual([5]);
    expect(Array.from(meanOf(moments).data)).toEqual([2]);
    expect(Array.from(covariance(moments).data)).toEqual([1]);
  });

  it("do not depend on how rows are cut into blocks, nor on their order", () => {
    const size = fc.integer({ min: 1, max: 8 });
    fc.assert(
      fc.property(size, size, size, seeds, (first, second, width, seed) => {
        const rows = randomMatrix(first + second, width, seed);
        const whole = accumulateMoments(createMoments(width), momentsOf(rows));
        const head = accumulateMoments(createMoments(width), momentsOf(slice(rows, { rows: [0, first] })));
        const tail = accumulateMoments(
          createMoments(width),
          momentsOf(slice(rows, { rows: [first, first + second] })),
        );
        for (const merged of [
          mergeMoments(head, tail),
          mergeMoments(tail, head),
          accumulateMoments(head, tail),
        ]) {
          expect(merged.count).toBe(first + second);
          expect(maxDifference(covariance(merged), covariance(whole))).toBeLessThan(tolerance);
        }
      }),
    );
  });

  it("agree with ml-matrix's covariance", () => {
    const rows = randomMatrix(50, 6, 3);
    const oracle = mlCovariance(MlMatrix.from1DArray(50, 6, rows.data)).to1DArray();
    const ours = covariance(accumulateMoments(createMoments(6), momentsOf(rows)));
    // ml-matrix divides by count - 1; the tolerance is some roundings of a value below 1.
    const expected = createMatrix(
      6,
      6,
      Float64Array.from(oracle, (value) => (value * 49) / 50),
    );
    expect(maxDifference(ours, expected)).toBeLessThan(1e-14);
  });

  it("sum float32 blocks in float64", () => {
    const block = { count: 1, sum: toFloat32(ones(1)), gram: Float32Array.of(2 ** 24) };
    let moments = createMoments(1);
    for (let i = 0; i < 3; i++)
      moments = accumulateMoments(moments, i === 1 ? { ...block, gram: Float32Array.of(1) } : block);
    expect(moments.gram[0]).toBe(2 ** 25 + 1);
  });

  it("merge without changing either side", () => {
    const a = accumulateMoments(createMoments(1), {
      count: 1,
      sum: Float64Array.of(1),
      gram: Float64Array.of(1),
    });
    mergeMoments(a, a);
    expect(a).toEqual({ width: 1, count: 1, sum: Float64Array.of(1), gram: Float64Array.of(1) });
  });

  it("slice to the moments of those components", () => {
    const rows = randomMatrix(5, 6, 4);
    const sliced = sliceMoments(accumulateMoments(createMoments(6), momentsOf(rows)), 2, 5);
    const direct = accumulateMoments(createMoments(3), momentsOf(slice(rows, { cols: [2, 5] })));
    expect(sliced).toEqual(direct);
    expect(() => sliceMoments(sliced, 1, 4)).toThrow(/components .*\[0, 3\), got \[1, 4\)/);
  });

  it("refuse another width, a bad count, and averages of nothing", () => {
    const moments = createMoments(2);
    const block = momentsOf(randomMatrix(3, 2, 5));
    expect(() => accumulateMoments(createMoments(3), block)).toThrow(
      /width 3 \(3 and 9 values\), got 2 and 4/,
    );
    expect(() => accumulateMoments(moments, { ...block, count: 0.5 })).toThrow(/count/);
    expect(() => covariance(moments)).toThrow(/at least one row/);
  });
});
