import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxDifference, maxMagnitude } from "../../test/max-difference.js";
import { randomGram, seeds, sizes } from "../../test/random-matrix.js";
import { scale } from "../arithmetic.js";
import { createMatrix, identity, type Matrix } from "../matrix.js";
import { multiply } from "../multiply.js";
import { blockRoots } from "./block-roots.js";
import { runInPlace } from "./steps.js";

const rootsOf = (a: Matrix, floor = 1e-6) => runInPlace(blockRoots("test", [a], floor))[0]!;

describe("blockRoots", () => {
  it("squares to the matrix up to the floor, and the inverse root undoes it", () => {
    fc.assert(
      fc.property(sizes, sizes, seeds, (n, samples, seed) => {
        const a = randomGram(n, seed, samples);
        const { root, inverseRoot } = rootsOf(a);
        // Eigenvalues below the floor are raised by at most floor · largest, itself at most n · max |a|.
        expect(maxDifference(multiply(root, root), a)).toBeLessThanOrEqual(1.01e-6 * n * maxMagnitude(a));
        // Condition number 1000, times the rounding of two products.
        expect(maxDifference(multiply(root, inverseRoot), identity(n))).toBeLessThan(1e-11);
      }),
    );
  });

  it("raises small and slightly negative eigenvalues to the floor", () => {
    const a = createMatrix(2, 2, Float64Array.of(4, 0, 0, -1e-9));
    const { root } = rootsOf(a, 0.01);
    expect(root.data[0]).toBeCloseTo(2, 14);
    expect(root.data[3]).toBeCloseTo(0.2, 14);
  });

  it("scales with the square root of the scale", () => {
    const a = randomGram(5, 3);
    const { root } = rootsOf(scale(a, 9));
    expect(maxDifference(root, scale(rootsOf(a).root, 3))).toBeLessThan(1e-13);
  });

  it("is the identity for a zero matrix, which prefers nothing", () => {
    expect(rootsOf(createMatrix(3, 3))).toEqual({ root: identity(3), inverseRoot: identity(3) });
    expect(rootsOf(createMatrix(0, 0)).root).toEqual(createMatrix(0, 0));
  });

  it("refuses what is no metric, and floors outside (0, 1]", () => {
    const indefinite = createMatrix(2, 2, Float64Array.of(1, 0, 0, -2));
    expect(() => rootsOf(indefinite)).toThrow(/semi-definite matrix, found eigenvalues from -2 to 1/);
    expect(() => rootsOf(createMatrix(1, 1, Float64Array.of(-1)))).toThrow(/semi-definite/);
    for (const floor of [0, -1, 2, Number.NaN])
      expect(() => rootsOf(identity(2), floor)).toThrow(/floor in \(0, 1\]/);
  });
});
