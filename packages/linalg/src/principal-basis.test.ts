import fc from "fast-check";
import { Matrix as MlMatrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { frobeniusNorm, maxDifference } from "../test/max-difference.js";
import { randomMatrix, seeds } from "../test/random-matrix.js";
import { recordingProducts } from "../test/recording-products.js";
import { subtract } from "./arithmetic.js";
import { projector } from "./basis.js";
import { createMatrix, identity, type Matrix, transpose } from "./matrix.js";
import { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";
import { obliqueBasis } from "./oblique-basis.js";
import { principalBasis } from "./principal-basis.js";

const size = fc.integer({ min: 1, max: 12 });

const missed = (rows: Matrix, p: Matrix): number => frobeniusNorm(subtract(rows, multiply(rows, p)));

/** Orthonormal columns, from the rows of the other side. */
const orthonormal = async (rows: number, cols: number, seed: number): Promise<Matrix> => {
  const noise = randomMatrix(rows, cols, seed);
  return multiply(noise, (await principalBasis(noise, cols)).encode);
};

describe("principalBasis", () => {
  it("stores orthonormal columns, and misses the energy that it does not retain (Eckart and Young)", async () => {
    await fc.assert(
      fc.asyncProperty(size, size, seeds, async (m, n, seed) => {
        const rows = randomMatrix(m, n, seed);
        const rank = Math.ceil(Math.min(m, n) / 2);
        const basis = await principalBasis(rows, rank);
        const stored = multiply(rows, basis.encode);
        // The condition number of the leading half of small random matrices, times rounding.
        expect(maxDifference(transposeMultiply(stored, stored), identity(rank))).toBeLessThan(1e-10);
        const share = (missed(rows, projector(basis)) / frobeniusNorm(rows)) ** 2;
        expect(Math.abs(1 - basis.retained - share)).toBeLessThan(1e-13);
      }),
    );
  });

  it("is a projector at any rank up to the width, beyond that of the rows too", async () => {
    await fc.assert(
      fc.asyncProperty(size, size, seeds, async (m, n, seed) => {
        const { encode, decode, retained } = await principalBasis(randomMatrix(m, n, seed), n);
        expect(maxDifference(multiply(decode, encode), identity(n))).toBeLessThan(1e-9);
        expect(retained).toBe(1);
      }),
    );
  });

  it.each([
    ["few enough for ml-matrix", 200, 64],
    ["too many for it", 300, 64],
  ])("is what ml-matrix decomposes: rows %s", async (_, m, n) => {
    const rows = randomMatrix(m, n, 3);
    const basis = await principalBasis(rows, 20);
    const { rightSingularVectors: v } = new SingularValueDecomposition(MlMatrix.from1DArray(m, n, rows.data));
    const leading = createMatrix(
      n,
      20,
      Float64Array.from({ length: n * 20 }, (_unused, at) => v.get(Math.floor(at / 20), at % 20)),
    );
    // Gaps between singular values of about 1e-2.
    expect(maxDifference(projector(basis), multiplyTransposed(leading, leading))).toBeLessThan(1e-11);
  });

  it("finds directions of small rows that their second moment loses in rounding", async () => {
    const [left, right] = [await orthonormal(40, 3, 1), await orthonormal(6, 3, 2)];
    const sizes = [1, 1e-9, 1e-12];
    const rows = multiplyTransposed(
      { ...left, data: left.data.map((value, at) => value * sizes[at % 3]!) },
      right,
    );
    expect(missed(rows, projector(await principalBasis(rows, 2)))).toBeLessThan(2e-12);
    const covariance = transposeMultiply(rows, rows);
    expect(missed(rows, projector(await obliqueBasis({ covariance, rank: 2 })))).toBeGreaterThan(1e-11);
  });

  it("has its products made by the port", async () => {
    const { products, work } = recordingProducts();
    const rows = randomMatrix(300, 100, 5);
    const basis = await principalBasis(rows, 30, { products });
    expect(maxDifference(projector(basis), projector(await principalBasis(rows, 30)))).toBeLessThan(1e-11);
    expect(work.transposeMultiply).toBeGreaterThan(300 * 100 * 100 - 1);
  });

  it("takes rows of nothing, and no rank", async () => {
    expect((await principalBasis(createMatrix(0, 3), 1)).retained).toBe(1);
    expect((await principalBasis(createMatrix(4, 3), 2)).encode.cols).toBe(2);
    expect(await principalBasis(identity(2), 0)).toMatchObject({ encode: createMatrix(2, 0), retained: 0 });
  });

  it("names what it refuses", async () => {
    await expect(principalBasis(createMatrix(2, 3), 4)).rejects.toThrow(/principalBasis: .* 0 to 3, found 4/);
    const bad = transpose(createMatrix(1, 2, Float64Array.of(1, Number.POSITIVE_INFINITY)));
    await expect(principalBasis(bad, 1)).rejects.toThrow(/rows to be finite, found Infinity at \(1, 0\)/);
  });
});
