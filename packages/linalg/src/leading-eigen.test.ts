import { EigenvalueDecomposition, Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { knownSpectrum, leading } from "../test/known-spectrum.js";
import { maxDifference } from "../test/max-difference.js";
import { randomGram, randomMatrix } from "../test/random-matrix.js";
import { recordingProducts } from "../test/recording-products.js";
import { faultOfBasis, sineBetween } from "../test/subspace.js";
import { leadingEigen, symmetricEigen } from "./eigen.js";
import { createMatrix, identity, type Matrix } from "./matrix.js";
import { multiply, transposeMultiply } from "./multiply.js";
import { trace } from "./trace.js";

/** Orthonormality of up to 512 columns; measured below 2e-14. */
const orthonormal = 1e-13;

const spectrum = (n: number, at: (i: number) => number) => Array.from({ length: n }, (_, i) => at(i));

/** Rows that share directions: `x M` with a mixing matrix whose rows fade. */
function correlatedGram(n: number): Matrix {
  const mixing = randomMatrix(n, n, 2);
  const faded = {
    ...mixing,
    data: mixing.data.map((value, i) => value * (Math.floor(i / n) + 1) ** -0.75),
  };
  const rows = multiply(randomMatrix(2 * n, n, 1), faded);
  return transposeMultiply(rows, rows);
}

function mlVectors({ rows: n, data }: Matrix): Matrix {
  const { eigenvectorMatrix } = new EigenvalueDecomposition(MlMatrix.from1DArray(n, n, data), {
    assumeSymmetric: true,
  });
  return createMatrix(
    n,
    n,
    Float64Array.from({ length: n * n }, (_, i) => eigenvectorMatrix.get(Math.floor(i / n), n - 1 - (i % n))),
  );
}

describe("leadingEigen", () => {
  it.each([
    ["independent features", (n: number) => randomGram(n, 3)],
    ["correlated features", correlatedGram],
    ["fewer samples than features", (n: number) => randomGram(n, 4, 110)],
  ])("spans what ml-matrix's full decomposition does: %s", async (_, make) => {
    const a = make(160);
    const expected = mlVectors(a);
    for (const rank of [1, 40, 80]) {
      const { vectors } = await leadingEigen(a, rank);
      // Both err by about n · 2^-53 over the relative gap at the cut, 1e-4 or more here.
      expect(sineBetween(vectors, leading(expected, rank))).toBeLessThan(1e-9);
      expect(faultOfBasis(vectors)).toBeLessThan(orthonormal);
    }
  });

  it.each([
    ["a power law over a floor of noise", (i: number) => (i + 1) ** -1.5 + 1e-6],
    ["an exponential decay", (i: number) => Math.exp(-i / 20)],
    ["a straight line", (i: number) => 1 - i / 300],
    ["steps of equal values", (i: number) => 2 ** -Math.floor(i / 25)],
    ["values of either sign", (i: number) => 1 - i / 100],
  ])("finds a subspace known in closed form: %s", async (_, at) => {
    const values = spectrum(300, at);
    const { matrix, vectors: known } = knownSpectrum(values);
    const result = await leadingEigen(matrix, 75);
    const gap = values[74]! - values[75]!;
    // Rounding of the matrix and of the algorithm, turned by the gap at the cut.
    expect(sineBetween(result.vectors, leading(known, 75))).toBeLessThan(1e-13 / gap);
    expect(faultOfBasis(result.vectors)).toBeLessThan(orthonormal);
    const worst = result.values.reduce((peak, value, i) => Math.max(peak, Math.abs(value - values[i]!)), 0);
    expect(worst).toBeLessThan(1e-13);
  });

  it("meets 1e-6 at the size of a large group of heads, with products made by the port", async () => {
    const n = 768;
    const { matrix, vectors: known } = knownSpectrum(spectrum(n, (i) => (i + 1) ** -1.2 + 1e-6));
    const { products, work } = recordingProducts();
    const { vectors } = await leadingEigen(matrix, 192, { products });
    expect(sineBetween(vectors, leading(known, 192))).toBeLessThan(1e-8);
    // All but the matrix-vector products: n³/3 + 1 n² rank, less what deflation and small products save.
    expect(work.multiply + work.multiplyTransposed + work.transposeMultiply).toBeGreaterThan(0.5 * n ** 3);
  }, 30_000);

  it.each([
    [
      "equal values across the cut",
      knownSpectrum(spectrum(200, (i) => (i < 30 ? 3 : i < 120 ? 2 : 1))).matrix,
    ],
    ["a multiple of the identity", identity(200)],
    ["nothing but zeros", createMatrix(200, 200)],
    ["fewer directions than asked for", randomGram(200, 5, 20)],
  ])("keeps as much as possible where the subspace is not unique: %s", async (_, a) => {
    const { vectors, values, retained } = await leadingEigen(a, 60);
    expect(faultOfBasis(vectors)).toBeLessThan(orthonormal);
    const kept = trace(transposeMultiply(vectors, multiply(a, vectors)));
    const best = symmetricEigen(a)
      .values.slice(0, 60)
      .reduce((sum, value) => sum + value, 0);
    expect(kept).toBeCloseTo(best, 9);
    expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(best, 9);
    expect(retained).toBeCloseTo(trace(a) === 0 ? 1 : best / trace(a), 12);
  });

  it("is the leading part of the full decomposition, in place or through a port", async () => {
    for (const n of [1, 32, 33, 49, 200]) {
      const a = randomGram(n, n);
      const rank = Math.ceil(n / 3);
      const full = symmetricEigen(a);
      const { values, vectors } = await leadingEigen(a, rank);
      expect(values).toEqual(full.values.slice(0, rank));
      expect(maxDifference(vectors, leading(full.vectors, rank))).toBeLessThan(1e-14 * n);
    }
  });

  it("keeps the leading columns", async () => {
    const a = createMatrix(3, 3, Float64Array.of(1, 0, 0, 0, 3, 0, 0, 0, 2));
    expect((await leadingEigen(a, 2)).vectors).toEqual(createMatrix(3, 2, Float64Array.of(0, 0, 1, 0, 0, 1)));
  });

  it("gives none when asked for none, and refuses what it cannot do", async () => {
    expect(await leadingEigen(identity(3), 0)).toMatchObject({
      vectors: createMatrix(3, 0),
      retained: 0,
    });
    await expect(leadingEigen(identity(3), 4)).rejects.toThrow(/leadingEigen: expected a rank from 0 to 3/);
    await expect(leadingEigen(createMatrix(2, 3), 1)).rejects.toThrow(/square/);
    await expect(leadingEigen(createMatrix(1, 1, Float64Array.of(Number.NaN)), 1)).rejects.toMatchObject({
      code: "not-finite",
    });
  });
});
