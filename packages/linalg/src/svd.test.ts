import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxDifference } from "../test/max-difference.js";
import { randomMatrix, seeds } from "../test/random-matrix.js";
import { symmetricEigen } from "./eigen.js";
import { createMatrix, identity, type Matrix, subtract } from "./matrix.js";
import { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";
import { frobeniusNorm } from "./norms.js";
import { truncatedSvd } from "./svd.js";

/** A modest multiple of n · 2^-53 for values below 1 and n up to 24. */
const tolerance = 1e-13;

function approximate(a: Matrix, rank: number): Matrix {
  const { u, singularValues, v } = truncatedSvd(a, rank);
  const scaled = { ...u, data: u.data.map((value, index) => value * singularValues[index % rank]!) };
  return multiplyTransposed(scaled, v);
}

const size = fc.integer({ min: 1, max: 12 });

describe("truncatedSvd", () => {
  it("reconstructs any shape at full rank, with orthonormal vectors", () => {
    fc.assert(
      fc.property(size, size, seeds, (m, n, seed) => {
        const a = randomMatrix(m, n, seed);
        const rank = Math.min(m, n);
        const { u, v } = truncatedSvd(a, rank);
        expect(maxDifference(approximate(a, rank), a)).toBeLessThan(tolerance);
        expect(maxDifference(transposeMultiply(u, u), identity(rank))).toBeLessThan(tolerance);
        expect(maxDifference(transposeMultiply(v, v), identity(rank))).toBeLessThan(tolerance);
      }),
    );
  });

  it("leaves exactly the energy of the values left out (Eckart and Young)", () => {
    fc.assert(
      fc.property(size, size, seeds, (m, n, seed) => {
        const a = randomMatrix(m, n, seed);
        const all = truncatedSvd(a, Math.min(m, n)).singularValues;
        const rank = Math.ceil(all.length / 2);
        const left = Math.sqrt(all.subarray(rank).reduce((sum, value) => sum + value * value, 0));
        expect(Math.abs(frobeniusNorm(subtract(a, approximate(a, rank))) - left)).toBeLessThan(tolerance);
      }),
    );
  });

  it("has singular values whose squares are the eigenvalues of aᵀa", () => {
    const a = randomMatrix(9, 5, 11);
    const squares = truncatedSvd(a, 5).singularValues.map((value) => value * value);
    const { values } = symmetricEigen(transposeMultiply(a, a));
    expect(maxDifference(createMatrix(1, 5, squares), createMatrix(1, 5, values))).toBeLessThan(tolerance);
  });

  it("reconstructs rank-deficient matrices", () => {
    fc.assert(
      fc.property(size, size, seeds, (m, n, seed) => {
        const a = multiply(randomMatrix(m, 1, seed), randomMatrix(1, n, seed + 1));
        expect(maxDifference(approximate(a, 1), a)).toBeLessThan(tolerance);
        expect(maxDifference(approximate(a, Math.min(m, n)), a)).toBeLessThan(tolerance);
      }),
    );
  });

  it("handles zeros and rank zero", () => {
    expect(Array.from(truncatedSvd(createMatrix(3, 2), 2).singularValues)).toEqual([0, 0]);
    expect(truncatedSvd(identity(2), 0).u).toEqual(createMatrix(2, 0));
  });

  it("names what it refuses", () => {
    expect(() => truncatedSvd(createMatrix(2, 3), 3)).toThrow(/rank from 0 to 2, got 3/);
    expect(() => truncatedSvd(createMatrix(1, 1, Float64Array.of(Number.POSITIVE_INFINITY)), 1)).toThrow(
      /Infinity at \(0, 0\)/,
    );
  });
});
