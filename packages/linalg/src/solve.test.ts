import fc from "fast-check";
import { inverse, Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { maxDifference, maxMagnitude } from "../test/max-difference.js";
import { randomGram, randomMatrix, seeds, sizes } from "../test/random-matrix.js";
import { recordingProducts } from "../test/recording-products.js";
import { add, subtract } from "./arithmetic.js";
import { createMatrix, identity, type Matrix } from "./matrix.js";
import { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";
import { ridgeSolve, ridgeSolveInPlace } from "./solve.js";

/** `diag(values) · a` */
const scaleRows = (a: Matrix, values: ArrayLike<number>): Matrix => ({
  ...a,
  data: a.data.map((value, index) => value * values[Math.floor(index / a.cols)]!),
});

describe("ridgeSolve", () => {
  it("solves its equation, with one lambda or one for each input", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, seeds, fc.boolean(), async (n, m, seed, alike) => {
        const gram = randomGram(n, seed, 3);
        const cross = randomMatrix(n, m, seed + 1);
        const prior = randomMatrix(n, m, seed + 2);
        const ridge = Float64Array.from({ length: n }, (_, i) => (alike ? 0.5 : 0.5 + (i % 3)));
        const solution = await ridgeSolve({ gram, cross, lambda: alike ? 0.5 : ridge, prior });
        const left = add(multiply(gram, solution), scaleRows(solution, ridge));
        const right = add(cross, scaleRows(prior, ridge));
        // n roundings of values around |gram| |solution|.
        expect(maxDifference(left, right)).toBeLessThan(1e-12);
      }),
    );
  });

  it("agrees with ml-matrix's inverse, across block borders", async () => {
    const n = 150;
    const gram = randomGram(n, 1);
    const cross = randomMatrix(n, 70, 2);
    const ours = await ridgeSolve({ gram, cross, lambda: 1 });
    const ridged = MlMatrix.add(MlMatrix.from1DArray(n, n, gram.data), MlMatrix.eye(n));
    const oracle = inverse(ridged)
      .mmul(MlMatrix.from1DArray(n, 70, cross.data))
      .to1DArray();
    // Condition number about 300 here.
    expect(maxDifference(ours, createMatrix(n, 70, Float64Array.from(oracle)))).toBeLessThan(1e-12);
  });

  it("does not depend on the units of the inputs where lambda is a share of the diagonal", async () => {
    const n = 12;
    const gram = randomGram(n, 8);
    const [cross, prior] = [randomMatrix(n, 3, 9), randomMatrix(n, 3, 10)];
    const shareOf = ({ data }: Matrix) => Float64Array.from({ length: n }, (_, i) => 1e-3 * data[i * n + i]!);
    const units = Float64Array.from({ length: n }, (_, i) => 10 ** (i - 6));
    const inverseUnits = units.map((unit) => 1 / unit);
    const scaledGram = {
      ...gram,
      data: gram.data.map((value, at) => value * units[Math.floor(at / n)]! * units[at % n]!),
    };
    const plain = await ridgeSolve({ gram, cross, lambda: shareOf(gram), prior });
    const scaled = await ridgeSolve({
      gram: scaledGram,
      cross: scaleRows(cross, units),
      lambda: shareOf(scaledGram),
      prior: scaleRows(prior, inverseUnits),
    });
    // Cholesky's rounding does not depend on units either.
    expect(maxDifference(scaleRows(scaled, units), plain)).toBeLessThan(1e-12);
  });

  it("goes from least squares to the prior as lambda grows", async () => {
    const truth = randomMatrix(6, 2, 3);
    const gram = randomGram(6, 4);
    const cross = multiply(gram, truth);
    const prior = randomMatrix(6, 2, 5);
    const solve = (lambda: number) => ridgeSolve({ gram, cross, lambda, prior });
    expect(maxDifference(await solve(0), truth)).toBeLessThan(1e-12);
    expect(maxDifference(await solve(1e12), prior)).toBeLessThan(1e-10);
    const solutions = await Promise.all([1e-2, 1, 1e2, 1e4].map(solve));
    const distances = solutions.map((solution) => maxMagnitude(subtract(solution, prior)));
    expect(distances).toEqual(distances.toSorted((a, b) => b - a));
  });

  it("keeps a prior that already solves the equation", async () => {
    const prior = randomMatrix(4, 3, 6);
    const gram = randomGram(4, 7, 2);
    const solution = await ridgeSolve({ gram, cross: multiply(gram, prior), lambda: 1e-3, prior });
    // Singular gram: condition number about 1e4.
    expect(maxDifference(solution, prior)).toBeLessThan(1e-11);
  });

  it("refuses a singular system with a remedy, and names bad arguments", async () => {
    const gram = createMatrix(2, 2);
    const cross = createMatrix(2, 1);
    await expect(ridgeSolve({ gram, cross, lambda: 0 })).rejects.toMatchObject({
      code: "not-positive-definite",
      message: expect.stringMatching(/larger lambda/),
    });
    await expect(ridgeSolve({ gram, cross, lambda: -1 })).rejects.toThrow(/lambda >= 0, found -1/);
    await expect(ridgeSolve({ gram, cross, lambda: [1, Number.NaN] })).rejects.toThrow(
      /lambda >= 0, found NaN/,
    );
    await expect(ridgeSolve({ gram, cross, lambda: [1] })).rejects.toThrow(/each of 2 inputs, found 1/);
    await expect(ridgeSolve({ gram, cross: createMatrix(3, 1), lambda: 1 })).rejects.toThrow(
      /cross to be \[2, 1\], found \[3, 1\]/,
    );
    await expect(ridgeSolve({ gram, cross, lambda: 1, prior: createMatrix(2, 2) })).rejects.toThrow(
      /prior to be \[2, 1\]/,
    );
    const bad = createMatrix(2, 1, Float64Array.of(1, Number.NaN));
    await expect(ridgeSolve({ gram, cross: bad, lambda: 1 })).rejects.toThrow(/cross to be finite/);
  });

  it("solves empty systems", async () => {
    const empty = { gram: createMatrix(0, 0), cross: createMatrix(0, 3), lambda: 0 };
    expect(await ridgeSolve(empty)).toEqual(createMatrix(0, 3));
    expect(await ridgeSolve({ gram: identity(2), cross: createMatrix(2, 0), lambda: 0 })).toEqual(
      createMatrix(2, 0),
    );
  });

  it("keeps to the prior what the data says nothing about, across block borders", async () => {
    // Four directions at most of 200 inputs, one of which is zero throughout.
    const n = 200;
    const rows = randomMatrix(4, n, 11);
    for (let row = 0; row < 4; row++) rows.data[row * n + 130] = 0;
    const gram = transposeMultiply(rows, rows);
    const prior = randomMatrix(n, 3, 12);
    const { products } = recordingProducts();
    const lambda = Float64Array.from({ length: n }, (_, i) => 1e-3 * gram.data[i * n + i]! || 1);
    const solution = await ridgeSolve({ gram, cross: createMatrix(n, 3), lambda, prior, products });
    const row = (matrix: Matrix) => Array.from(matrix.data.subarray(130 * 3, 131 * 3));
    expect(row(solution)).toEqual(row(prior));
    // The dual solves a system of the four rows alone: W = P - Λ⁻¹Zᵀ (Z Λ⁻¹ Zᵀ + 1)⁻¹ Z P.
    const scaled = { ...rows, data: rows.data.map((value, at) => value / lambda[at % n]!) };
    const small = add(multiplyTransposed(scaled, rows), identity(4));
    const dual = await ridgeSolve({ gram: small, cross: multiply(rows, prior), lambda: 0 });
    const expected = subtract(prior, transposeMultiply(scaled, dual));
    // A condition number of n / 1e-3.
    expect(maxDifference(solution, expected)).toBeLessThan(1e-10);
  });

  it("has its products made by the port", async () => {
    const { products, work } = recordingProducts();
    const system = {
      gram: randomGram(200, 1),
      cross: randomMatrix(200, 70, 2),
      prior: randomMatrix(200, 70, 3),
      lambda: 1,
    };
    // Condition number about 300 here.
    expect(maxDifference(await ridgeSolve({ ...system, products }), await ridgeSolve(system))).toBeLessThan(
      1e-12,
    );
    for (const amount of Object.values(work)) expect(amount).toBeGreaterThan(0);
  });
});

describe("ridgeSolveInPlace", () => {
  it("puts what ridgeSolve finds where the right sides were, to the bit", async () => {
    const [gram, cross, prior] = [randomGram(40, 5), randomMatrix(40, 7, 6), randomMatrix(40, 7, 7)];
    const expected = await ridgeSolve({ gram, cross, lambda: 0.5, prior });
    const solution = await ridgeSolveInPlace({ gram, cross, lambda: 0.5, prior });
    expect(solution).toEqual(expected);
    expect(solution.data).toBe(cross.data);
  });

  it("overwrites nothing that it refuses", async () => {
    const [gram, cross] = [randomGram(3, 5), randomMatrix(3, 2, 6)];
    const before = [gram, cross].map(({ data }) => data.slice());
    await expect(ridgeSolveInPlace({ gram, cross, lambda: -1 })).rejects.toThrow("lambda >= 0");
    expect([gram.data, cross.data]).toEqual(before);
  });
});
