import fc from "fast-check";
import { EigenvalueDecomposition, Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { knownSpectrum } from "../test/known-spectrum.js";
import { maxDifference, maxMagnitude } from "../test/max-difference.js";
import { randomGram, randomMatrix, recompose, seeds, sizes } from "../test/random-matrix.js";
import { add, scale } from "./arithmetic.js";
import { blockDiagonal } from "./blocks.js";
import { symmetricEigen, symmetricEigenvalues } from "./eigen.js";
import { createMatrix, identity, type Matrix, transpose } from "./matrix.js";
import { transposeMultiply } from "./multiply.js";

/** Backward stable: a modest multiple of n · 2^-53; measured below 2e-14 at these sizes. */
const tolerance = 1e-13;

/** The worst of residual and loss of orthogonality; NaN when the values do not descend. */
function faultOf(a: Matrix): number {
  const { values, vectors } = symmetricEigen(a);
  if (values.some((value, index) => value > (values[index - 1] ?? value))) return Number.NaN;
  const residual = maxDifference(recompose(vectors, values), a) / (maxMagnitude(a) || 1);
  return Math.max(residual, maxDifference(transposeMultiply(vectors, vectors), identity(a.rows)));
}

const randomSymmetric = (n: number, seed: number): Matrix => {
  const noise = randomMatrix(n, n, seed);
  return add(noise, transpose(noise));
};

const diagonal = (...values: number[]): Matrix => {
  const n = values.length;
  return createMatrix(
    n,
    n,
    Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? values[i / (n + 1)]! : 0)),
  );
};

/** From each row's diagonal value and its coupling to the next. */
function tridiagonal(values: readonly (readonly [number, number])[]): Matrix {
  const n = values.length;
  const result = createMatrix(n, n);
  for (const [i, [own, coupling]] of values.entries()) {
    result.data[i * n + i] = own;
    if (i + 1 === n) break;
    result.data[i * n + i + 1] = coupling;
    result.data[(i + 1) * n + i] = coupling;
  }
  return result;
}

/** A diagonal value and a coupling, of very different sizes. */
const magnitudes = fc.constantFrom(0, 1, -1, 2 ** -26, 1e-15, 1e-100, 1e-310, 3);
const entries = fc.tuple(magnitudes, magnitudes);

describe("symmetricEigen", () => {
  it("solves a hand-computed case", () => {
    const { values, vectors } = symmetricEigen(createMatrix(2, 2, Float64Array.of(2, 1, 1, 2)));
    expect(Array.from(values)).toEqual([expect.closeTo(3, 14), expect.closeTo(1, 14)]);
    expect(vectors.data[0]).toBeCloseTo(Math.SQRT1_2, 14);
    expect(vectors.data[2]).toBeCloseTo(Math.SQRT1_2, 14);
  });

  it("reconstructs, with orthonormal vectors and descending values", () => {
    fc.assert(
      fc.property(sizes, seeds, (n, seed) => {
        expect(faultOf(randomSymmetric(n, seed))).toBeLessThan(tolerance);
      }),
    );
  });

  it("copes with every rank", () => {
    fc.assert(
      fc.property(sizes, sizes, seeds, (n, samples, seed) => {
        expect(faultOf(randomGram(n, seed, samples))).toBeLessThan(tolerance);
      }),
    );
  });

  it.each([31, 32, 33, 47, 48, 49, 65, 97, 150, 201])(
    "divides size %i, across the borders of ml-matrix, leaves and panels",
    (n) => {
      expect(faultOf(randomSymmetric(n, 5))).toBeLessThan(tolerance);
      expect(faultOf(randomGram(n, 6, 40))).toBeLessThan(tolerance);
    },
  );

  it.each([
    ["graded over 300 decades", (i: number) => 10 ** (-2 * i)],
    ["growing over 30 decades", (i: number) => 10 ** (i / 5)],
    ["one value and a speck", (i: number) => (i === 0 ? 1 : 1e-14)],
    ["pairs closer than rounding", (i: number) => 1 + Math.floor(i / 2) / 10 + (i % 2) * 1e-17],
    ["halves that do not meet", (i: number) => (i % 2 === 0 ? i : -i)],
  ])("divides what deflates: %s", (_, at) => {
    const { matrix } = knownSpectrum(Array.from({ length: 150 }, (_, i) => at(i)));
    expect(faultOf(matrix)).toBeLessThan(tolerance);
    expect(faultOf(diagonal(...Array.from({ length: 150 }, (_, i) => at(i))))).toBeLessThan(tolerance);
  });

  it("divides tridiagonal matrices, whose halves may be tiny or uncoupled", () => {
    fc.assert(
      fc.property(fc.array(entries, { minLength: 100, maxLength: 100 }), (values) => {
        expect(faultOf(tridiagonal(values))).toBeLessThan(tolerance);
      }),
      { numRuns: 20 },
    );
  });

  it.each([1e-160, 1e-200, 1e-308])("divides a half of size %f beside one of size 1", (size) => {
    const values = Array.from({ length: 150 }, (_, i): [number, number] =>
      i === 0 ? [1, 0] : [(i % 7) * size, 0.3 * size],
    );
    expect(faultOf(tridiagonal(values))).toBeLessThan(tolerance);
    const dense = blockDiagonal([identity(1), scale(randomSymmetric(149, 8), size)]);
    expect(faultOf(dense)).toBeLessThan(tolerance);
  });

  it("agrees with ml-matrix on the eigenvalues", () => {
    const a = randomSymmetric(90, 7);
    const oracle = new EigenvalueDecomposition(MlMatrix.from1DArray(90, 90, a.data), {
      assumeSymmetric: true,
    });
    const ours = symmetricEigen(a).values;
    const worst = ours.reduce(
      (peak, value, i) => Math.max(peak, Math.abs(value - oracle.realEigenvalues[89 - i]!)),
      0,
    );
    expect(worst).toBeLessThan(tolerance * ours[0]!);
  });

  it("finds the known spectrum 2 - 2 cos(π k / (n + 1)) of the second difference", () => {
    const n = 65;
    const a = createMatrix(
      n,
      n,
      Float64Array.from({ length: n * n }, (_, i) => [2, -1][Math.abs(Math.floor(i / n) - (i % n))] ?? 0),
    );
    const expected = Float64Array.from(
      { length: n },
      (_, k) => 2 - 2 * Math.cos((Math.PI * (n - k)) / (n + 1)),
    );
    expect(
      maxDifference(createMatrix(1, n, symmetricEigen(a).values), createMatrix(1, n, expected)),
    ).toBeLessThan(tolerance * 4);
  });

  it.each([
    ["empty", createMatrix(0, 0)],
    ["one by one", diagonal(-3)],
    ["zero", createMatrix(5, 5)],
    ["identity", identity(6)],
    ["repeated values", diagonal(2, -1, 2, 2, -1)],
    ["a zero diagonal", createMatrix(2, 2, Float64Array.of(0, 1, 1, 0))],
    ["graded over 30 decades", diagonal(1, 1e-30, 1e-10, 1e-20)],
    ["near overflow", scale(randomSymmetric(5, 1), 8e307)],
    ["near underflow", scale(randomSymmetric(5, 1), 1e-300)],
  ])("decomposes: %s", (_, a) => {
    expect(faultOf(a)).toBeLessThan(tolerance);
  });

  it("takes the symmetric part", () => {
    const { values } = symmetricEigen(createMatrix(2, 2, Float64Array.of(2, 0, 2, 2)));
    expect(values[0]).toBeCloseTo(3, 14);
  });

  it("gives each vector's largest component a positive sign", () => {
    fc.assert(
      fc.property(sizes, seeds, (n, seed) => {
        const { vectors } = symmetricEigen(randomSymmetric(n, seed));
        for (let j = 0; j < n; j++) {
          const column = Array.from({ length: n }, (_, i) => vectors.data[i * n + j]!);
          expect(Math.max(...column)).toBe(Math.max(...column.map(Math.abs)));
        }
      }),
    );
  });

  it("names what it refuses", () => {
    const a = createMatrix(2, 2, Float64Array.of(1, 2, Number.NaN, 1));
    expect(() => symmetricEigen(a)).toThrow(/symmetricEigen: expected a to be finite, found NaN at \(1, 0\)/);
    expect(() => symmetricEigen(createMatrix(2, 3))).toThrow(/square/);
  });
});

describe("symmetricEigenvalues", () => {
  it.each([0, 1, 5, 40, 130])("gives the values alone, n = %i", (n) => {
    const a = randomSymmetric(n, 3);
    const { values } = symmetricEigen(a);
    // Sums of the same numbers in the same order, up to the vectors that are not made.
    expect(maxDifference(column(symmetricEigenvalues(a)), column(values))).toBeLessThan(
      tolerance * (maxMagnitude(a) || 1) * Math.max(1, n),
    );
  });

  it("names what it refuses", () => {
    expect(() => symmetricEigenvalues(createMatrix(1, 1, Float64Array.of(Number.NaN)))).toThrow(
      /symmetricEigenvalues: expected a to be finite, found NaN at \(0, 0\)/,
    );
    expect(() => symmetricEigenvalues(createMatrix(2, 3))).toThrow(/square/);
  });
});

const column = (values: Float64Array): Matrix => createMatrix(values.length, 1, values);
