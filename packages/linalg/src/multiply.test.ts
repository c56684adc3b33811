import fc from "fast-check";
import { Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { maxDifference } from "../test/max-difference.js";
import { naiveProduct, randomMatrix, seeds } from "../test/random-matrix.js";
import { createMatrix, transpose } from "./matrix.js";
import { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";

/** Sums of at most 600 products of values below 1: 600 roundings of 2^-53 each in the worst case. */
const tolerance = 600 * 2 ** -53;

describe("multiply", () => {
  it("multiplies a hand-computed case", () => {
    const a = createMatrix(2, 3, Float64Array.of(1, 2, 3, 4, 5, 6));
    const b = createMatrix(3, 2, Float64Array.of(7, 8, 9, 10, 11, 12));
    expect(Array.from(multiply(a, b).data)).toEqual([58, 64, 139, 154]);
  });

  // Sizes that are no multiple of a tile (4, 2) or a block (64, 256, 512), and just beyond each.
  it.each([
    [1, 1, 1],
    [5, 3, 7],
    [65, 257, 33],
    [67, 20, 515],
    [3, 600, 2],
  ])("agrees with ml-matrix at %i x %i x %i", (m, k, n) => {
    const a = randomMatrix(m, k, 1);
    const b = randomMatrix(k, n, 2);
    const oracle = MlMatrix.from1DArray(m, k, a.data)
      .mmul(MlMatrix.from1DArray(k, n, b.data))
      .to1DArray();
    expect(maxDifference(multiply(a, b), createMatrix(m, n, Float64Array.from(oracle)))).toBeLessThan(
      tolerance * k,
    );
  });

  it("agrees with the definition for every small shape, transposed either way", () => {
    const size = fc.integer({ min: 0, max: 9 });
    fc.assert(
      fc.property(size, size, size, seeds, (m, k, n, seed) => {
        const a = randomMatrix(m, k, seed);
        const b = randomMatrix(k, n, seed + 1);
        const expected = naiveProduct(a, b);
        expect(maxDifference(multiply(a, b), expected)).toBeLessThan(tolerance);
        expect(maxDifference(multiplyTransposed(a, transpose(b)), expected)).toBeLessThan(tolerance);
        expect(maxDifference(transposeMultiply(transpose(a), b), expected)).toBeLessThan(tolerance);
      }),
    );
  });

  it("lets NaN through to its own row only", () => {
    const a = createMatrix(2, 2, Float64Array.of(Number.NaN, 1, 1, 1));
    const { data } = multiply(a, createMatrix(2, 1, Float64Array.of(1, 1)));
    expect(Array.from(data)).toEqual([Number.NaN, 2]);
  });

  it("refuses shapes that do not fit, naming both", () => {
    const a = createMatrix(2, 3);
    expect(() => multiply(a, a)).toThrow(/multiply: .*\[2, 3\] and \[2, 3\]/);
    expect(() => multiplyTransposed(a, createMatrix(2, 2))).toThrow(/multiplyTransposed/);
    expect(() => transposeMultiply(a, createMatrix(3, 2))).toThrow(/transposeMultiply/);
  });
});
