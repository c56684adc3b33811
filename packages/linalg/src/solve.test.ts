import fc from "fast-check";
import { inverse, Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { maxDifference, maxMagnitude } from "../test/max-difference.js";
import { randomGram, randomMatrix, seeds, sizes } from "../test/random-matrix.js";
import { recordingProducts } from "../test/recording-products.js";
import { cholesky } from "./cholesky.js";
import { add, createMatrix, identity, scale, subtract } from "./matrix.js";
import { multiply, multiplyTransposed } from "./multiply.js";
import { NumericalError } from "./numerical-error.js";
import { ridgeSolve, ridgeSolveAsync } from "./solve.js";

describe("cholesky", () => {
  it("gives a lower triangle that reconstructs, across block borders", () => {
    for (const n of [1, 2, 63, 64, 65, 130, 200]) {
      const a = add(randomGram(n, n), identity(n));
      const factor = cholesky(a);
      // Backward stable: n roundings.
      expect(maxDifference(multiplyTransposed(factor, factor), a)).toBeLessThan(
        n * 2 ** -51 * maxMagnitude(a),
      );
      expect(factor.data.every((value, index) => index % n <= Math.floor(index / n) || value === 0)).toBe(
        true,
      );
    }
  });

  it("leaves its argument alone and reads only the lower triangle", () => {
    const a = createMatrix(2, 2, Float64Array.of(4, 99, 2, 5));
    expect(Array.from(cholesky(a).data)).toEqual([2, 0, 1, 2]);
    expect(Array.from(a.data)).toEqual([4, 99, 2, 5]);
  });

  it("names the pivot that fails", () => {
    expect(() => cholesky(createMatrix(2, 2, Float64Array.of(1, 2, 2, 1)))).toThrow(
      /got pivot -3 at row 1; add a ridge/,
    );
  });
});

describe("ridgeSolve", () => {
  it("solves its equation", () => {
    fc.assert(
      fc.property(sizes, sizes, seeds, (n, m, seed) => {
        const gram = randomGram(n, seed, 3);
        const cross = randomMatrix(n, m, seed + 1);
        const prior = randomMatrix(n, m, seed + 2);
        const solution = ridgeSolve({ gram, cross, lambda: 0.5, prior });
        const left = add(multiply(gram, solution), scale(solution, 0.5));
        const right = add(cross, scale(prior, 0.5));
        // n roundings of values around |gram| |solution|.
        expect(maxDifference(left, right)).toBeLessThan(1e-12);
      }),
    );
  });

  it("agrees with ml-matrix's inverse, across block borders", () => {
    const n = 150;
    const gram = randomGram(n, 1);
    const cross = randomMatrix(n, 70, 2);
    const ours = ridgeSolve({ gram, cross, lambda: 1 });
    const ridged = MlMatrix.add(MlMatrix.from1DArray(n, n, gram.data), MlMatrix.eye(n));
    const oracle = inverse(ridged)
      .mmul(MlMatrix.from1DArray(n, 70, cross.data))
      .to1DArray();
    // Condition number about 300 here.
    expect(maxDifference(ours, createMatrix(n, 70, Float64Array.from(oracle)))).toBeLessThan(1e-12);
  });

  it("goes from least squares to the prior as lambda grows", () => {
    const truth = randomMatrix(6, 2, 3);
    const gram = randomGram(6, 4);
    const cross = multiply(gram, truth);
    const prior = randomMatrix(6, 2, 5);
    expect(maxDifference(ridgeSolve({ gram, cross, lambda: 0, prior }), truth)).toBeLessThan(1e-12);
    expect(maxDifference(ridgeSolve({ gram, cross, lambda: 1e12, prior }), prior)).toBeLessThan(1e-10);
    const distances = [1e-2, 1, 1e2, 1e4].map((lambda) =>
      maxMagnitude(subtract(ridgeSolve({ gram, cross, lambda, prior }), prior)),
    );
    expect(distances).toEqual(distances.toSorted((a, b) => b - a));
  });

  it("keeps a prior that already solves the equation", () => {
    const prior = randomMatrix(4, 3, 6);
    const gram = randomGram(4, 7, 2);
    const solution = ridgeSolve({ gram, cross: multiply(gram, prior), lambda: 1e-3, prior });
    // Singular gram: condition number about 1e4.
    expect(maxDifference(solution, prior)).toBeLessThan(1e-11);
  });

  it("refuses a singular system with a remedy, and names bad arguments", () => {
    const gram = createMatrix(2, 2);
    const cross = createMatrix(2, 1);
    const error = catchError(() => ridgeSolve({ gram, cross, lambda: 0 }));
    expect(error.code).toBe("not-positive-definite");
    expect(error.message).toMatch(/larger lambda/);
    expect(() => ridgeSolve({ gram, cross, lambda: -1 })).toThrow(/lambda >= 0, got -1/);
    expect(() => ridgeSolve({ gram, cross: createMatrix(3, 1), lambda: 1 })).toThrow(
      /cross to be \[2, 1\], got \[3, 1\]/,
    );
    expect(() => ridgeSolve({ gram, cross, lambda: 1, prior: createMatrix(2, 2) })).toThrow(
      /prior to be \[2, 1\]/,
    );
    expect(() =>
      ridgeSolve({ gram, cross: createMatrix(2, 1, Float64Array.of(1, Number.NaN)), lambda: 1 }),
    ).toThrow(/cross to be finite/);
  });

  it("solves empty systems", () => {
    expect(ridgeSolve({ gram: createMatrix(0, 0), cross: createMatrix(0, 3), lambda: 0 })).toEqual(
      createMatrix(0, 3),
    );
    expect(ridgeSolve({ gram: identity(2), cross: createMatrix(2, 0), lambda: 0 })).toEqual(
      createMatrix(2, 0),
    );
  });
});

describe("ridgeSolveAsync", () => {
  it("is ridgeSolve, with products made by the port", async () => {
    const { products, work } = recordingProducts();
    const system = {
      gram: randomGram(200, 1),
      cross: randomMatrix(200, 70, 2),
      prior: randomMatrix(200, 70, 3),
      lambda: 1,
    };
    const solution = await ridgeSolveAsync({ ...system, products });
    // Condition number about 300 here.
    expect(maxDifference(solution, ridgeSolve(system))).toBeLessThan(1e-12);
    expect(maxDifference(solution, await ridgeSolveAsync(system))).toBeLessThan(1e-12);
    for (const amount of Object.values(work)) expect(amount).toBeGreaterThan(0);
  });

  it("refuses what ridgeSolve does", async () => {
    const system = { gram: createMatrix(2, 2), cross: createMatrix(2, 1), lambda: 0 };
    await expect(ridgeSolveAsync(system)).rejects.toMatchObject({ code: "not-positive-definite" });
    await expect(ridgeSolveAsync({ ...system, lambda: -1 })).rejects.toThrow(/ridgeSolveAsync: .* got -1/);
  });
});

function catchError(action: () => unknown): NumericalError {
  try {
    action();
  } catch (error) {
    if (NumericalError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("expected a NumericalError, got none");
}
