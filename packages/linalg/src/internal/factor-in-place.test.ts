import { describe, expect, it } from "vitest";
import { cholesky } from "../../test/cholesky.js";
import { maxDifference, maxMagnitude } from "../../test/max-difference.js";
import { randomGram } from "../../test/random-matrix.js";
import { add } from "../arithmetic.js";
import { createMatrix, identity } from "../matrix.js";
import { multiplyTransposed } from "../multiply.js";
import { factorInPlace } from "./factor-in-place.js";
import { runInPlace } from "./steps.js";

describe("factorInPlace", () => {
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

  it("gives the same factor by wide panels, the last of which is not full", () => {
    const n = 300;
    const a = add(randomGram(n, 3), identity(n));
    const wide = createMatrix(n, n, a.data.slice());
    runInPlace(factorInPlace(wide, 128));
    for (let i = 0; i < n; i++) wide.data.fill(0, i * n + i + 1, (i + 1) * n);
    const narrow = cholesky(a);
    // Up to n products in another order, and a condition number of about 1000.
    expect(maxDifference(wide, narrow)).toBeLessThan(1e-12 * maxMagnitude(narrow));
  });

  it("reads only the lower triangle", () => {
    const a = createMatrix(2, 2, Float64Array.of(4, 99, 2, 5));
    expect(Array.from(cholesky(a).data)).toEqual([2, 0, 1, 2]);
  });

  it("names the pivot that fails", () => {
    expect(() => cholesky(createMatrix(2, 2, Float64Array.of(1, 2, 2, 1)))).toThrow(
      /found pivot -3 at row 1; add a ridge/,
    );
  });
});
