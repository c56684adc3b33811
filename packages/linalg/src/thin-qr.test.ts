import fc from "fast-check";
import { Matrix as MlMatrix, QrDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { maxDifference } from "../test/max-difference.js";
import { randomMatrix, seeds, sizes } from "../test/random-matrix.js";
import { createMatrix, identity, type Matrix } from "./matrix.js";
import { multiply, transposeMultiply } from "./multiply.js";
import { thinQr } from "./thin-qr.js";

/** How far columns of `q` are from orthonormal, `q r` from the matrix in units of `scale`, and `r` from triangular. */
function errorOf(a: Matrix, scale = 1): number {
  const { q, r } = thinQr(a);
  const below = r.data.filter((_, at) => at % r.cols < Math.floor(at / r.cols));
  return Math.max(
    maxDifference(transposeMultiply(q, q), identity(a.cols)),
    maxDifference(multiply(q, r), a) / scale,
    ...below.map(Math.abs),
  );
}

/** Some n roundings of values around 1, n up to 24. */
const tolerance = 1e-12;

describe("thinQr", () => {
  it("takes any tall matrix apart", () => {
    fc.assert(
      fc.property(sizes, sizes, seeds, (n, more, seed) => {
        expect(errorOf(randomMatrix(n + more, n, seed))).toBeLessThan(tolerance);
      }),
    );
  });

  it("agrees with ml-matrix up to signs", () => {
    const a = randomMatrix(70, 33, 1);
    const { q, r } = thinQr(a);
    const theirs = new QrDecomposition(MlMatrix.from1DArray(70, 33, a.data));
    const [theirQ, theirR] = [theirs.orthogonalMatrix, theirs.upperTriangularMatrix].map((matrix) =>
      createMatrix(matrix.rows, matrix.columns, Float64Array.from(matrix.to1DArray(), Math.abs)),
    );
    const magnitudes = (matrix: Matrix) => ({ ...matrix, data: matrix.data.map(Math.abs) });
    expect(maxDifference(magnitudes(q), theirQ!)).toBeLessThan(1e-12);
    expect(maxDifference(magnitudes(r), theirR!)).toBeLessThan(1e-12);
  });

  it("has orthonormal columns where those of the matrix are not independent", () => {
    expect(errorOf(createMatrix(9, 4))).toBeLessThan(tolerance);
    const thin = multiply(randomMatrix(9, 2, 3), randomMatrix(2, 5, 4));
    expect(errorOf(thin)).toBeLessThan(tolerance);
  });

  it.each([1e-200, 1e200])("neither over- nor underflows around %d", (scale) => {
    const a = randomMatrix(12, 5, 6);
    const scaled = { ...a, data: a.data.map((value) => scale * value) };
    expect(errorOf(scaled, scale)).toBeLessThan(tolerance);
  });

  it("refuses wide matrices and numbers that are not finite", () => {
    expect(() => thinQr(createMatrix(2, 3))).toThrow(/thinQr: expected at least as many rows as columns/);
    expect(() => thinQr(createMatrix(2, 1, Float64Array.of(1, Number.NaN)))).toThrow(
      /expected a to be finite, found NaN at \(1, 0\)/,
    );
  });
});
