import fc from "fast-check";
import { EigenvalueDecomposition, Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { faultOfBasis } from "../../test/subspace.js";
import { createMatrix, transpose } from "../matrix.js";
import { type RankOneUpdate, solveSecular } from "./secular-equation.js";
import { secularValues, secularVectors } from "./secular-vectors.js";

/** Poles that ascend by steps of very different sizes, and components of `z` of very different sizes. */
const updates: fc.Arbitrary<RankOneUpdate> = fc
  .record({
    parts: fc.array(
      fc.record({
        step: fc.constantFrom(1, 0.3, 1e-5, 1e-12),
        component: fc.constantFrom(1, -0.7, 1e-4, -1e-9),
      }),
      { minLength: 1, maxLength: 20 },
    ),
    weight: fc.constantFrom(1, 1e-6, 100),
  })
  .map(({ parts, weight }) => {
    let pole = -1;
    const poles = Float64Array.from(parts, ({ step }) => {
      pole += step;
      return pole;
    });
    return { poles, vector: Float64Array.from(parts, ({ component }) => component), weight };
  });

function oracle({ poles, vector, weight }: RankOneUpdate): number[] {
  const n = poles.length;
  const dense = new MlMatrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) dense.set(i, j, weight * vector[i]! * vector[j]! + (i === j ? poles[i]! : 0));
  }
  return new EigenvalueDecomposition(dense, { assumeSymmetric: true }).realEigenvalues;
}

describe("solveSecular", () => {
  it("solves a hand-computed case", () => {
    // diag(0, 1) + [[1, 1], [1, 1]]: λ² - 3 λ + 1 = 0.
    const update = { poles: Float64Array.of(0, 1), vector: Float64Array.of(1, 1), weight: 1 };
    expect(Array.from(secularValues(update, solveSecular(update)))).toEqual([
      expect.closeTo((3 - Math.sqrt(5)) / 2, 15),
      expect.closeTo((3 + Math.sqrt(5)) / 2, 15),
    ]);
  });

  it("agrees with ml-matrix on the eigenvalues", () => {
    fc.assert(
      fc.property(updates, (update) => {
        const expected = oracle(update);
        const size = Math.max(...expected.map(Math.abs), 1);
        const ours = secularValues(update, solveSecular(update));
        // A few roundings of the largest value, on either side.
        for (const [j, value] of ours.entries())
          expect(Math.abs(value - expected[j]!)).toBeLessThan(1e-14 * size * ours.length);
      }),
    );
  });

  it("keeps each root strictly after its pole and before the next, however close", () => {
    fc.assert(
      fc.property(updates, (update) => {
        const { origins, offsets } = solveSecular(update);
        for (const [j, origin] of origins.entries()) {
          expect([j, j + 1]).toContain(origin);
          expect(origin === j ? offsets[j]! > 0 : offsets[j]! < 0).toBe(true);
        }
      }),
    );
  });
});

describe("secularVectors", () => {
  it("is orthonormal for roots that agree in all but the last digits", () => {
    fc.assert(
      fc.property(updates, (update) => {
        const every = Array.from(update.poles.keys());
        const rows = secularVectors(update, solveSecular(update), every, Int32Array.from(every));
        // Rounding of products of up to 20 ratios, twice.
        expect(faultOfBasis(transpose(rows))).toBeLessThan(1e-13);
      }),
    );
  });

  it("puts components into the columns given", () => {
    const update = { poles: Float64Array.of(0, 1), vector: Float64Array.of(1, 1), weight: 1 };
    const roots = solveSecular(update);
    const straight = secularVectors(update, roots, [1], Int32Array.of(0, 1));
    const swapped = secularVectors(update, roots, [1], Int32Array.of(1, 0));
    expect(swapped).toEqual(createMatrix(1, 2, straight.data.slice().reverse()));
  });
});
