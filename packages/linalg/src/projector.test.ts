import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxDifference } from "../test/max-difference.js";
import { randomGram, randomInvertible, seeds } from "../test/random-matrix.js";
import { recordingProducts } from "../test/recording-products.js";
import { blockDiagonal } from "./blocks.js";
import { cholesky } from "./cholesky.js";
import { createMatrix, identity, type Matrix, scale, subtract, transpose } from "./matrix.js";
import { multiply, transposeMultiply } from "./multiply.js";
import { trace } from "./norms.js";
import { type ObliqueBasis, obliqueBasis, obliqueBasisAsync, projector } from "./projector.js";
import { ridgeSolve } from "./solve.js";

/** Products of a root and its inverse, condition number at most 1000, of matrices up to n = 12. */
const tolerance = 1e-10;

/** `tr(M (I - P)ᵀ C (I - P))`: what storing rows through `P` costs. */
function cost(p: Matrix, covariance: Matrix, metric: Matrix): number {
  const lost = subtract(identity(p.rows), p);
  return trace(multiply(metric, multiply(transposeMultiply(lost, covariance), lost)));
}

/** With `M = L Lᵀ` the rows `y L` have plain second moment `Lᵀ C L`: no symmetric root involved. */
function whitenedComponents(covariance: Matrix, metric: Matrix, rank: number): ObliqueBasis {
  const factor = cholesky(metric);
  return obliqueBasis({ covariance: multiply(transposeMultiply(factor, covariance), factor), rank });
}

/** By the normal equations. */
const invert = (a: Matrix): Matrix =>
  ridgeSolve({ gram: transposeMultiply(a, a), cross: transpose(a), lambda: 0 });

/** A problem with a rank to keep; two blocks so that the metric may be given either way. */
const problems = fc
  .record({
    half: fc.integer({ min: 1, max: 6 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: seeds,
  })
  .map(({ half, part, seed }) => {
    const n = 2 * half;
    const metricBlocks = [randomGram(half, seed + 1), randomGram(half, seed + 2)];
    return {
      n,
      seed,
      rank: Math.round(part * n),
      covariance: randomGram(n, seed),
      metricBlocks,
      metric: blockDiagonal(metricBlocks),
    };
  });

describe("obliqueBasis", () => {
  it("makes an idempotent projector of the rank asked for", () => {
    fc.assert(
      fc.property(problems, ({ covariance, metric, rank }) => {
        const basis = obliqueBasis({ covariance, metric, rank });
        const p = projector(basis);
        expect(maxDifference(multiply(p, p), p)).toBeLessThan(tolerance);
        expect(maxDifference(multiply(basis.decode, basis.encode), identity(rank))).toBeLessThan(tolerance);
      }),
    );
  });

  it("retains exactly what the cost says, and everything at full rank", () => {
    fc.assert(
      fc.property(problems, ({ n, covariance, metric, rank }) => {
        const basis = obliqueBasis({ covariance, metric, rank, floor: 1e-12 });
        const total = trace(multiply(metric, covariance));
        expect(1 - cost(projector(basis), covariance, metric) / total).toBeCloseTo(basis.retained, 7);
        const full = obliqueBasis({ covariance, metric, rank: n });
        expect(full.retained).toBe(1);
        expect(maxDifference(projector(full), identity(n))).toBeLessThan(tolerance);
      }),
    );
  });

  it("costs no more than other projectors of its rank, near or far", () => {
    fc.assert(
      fc.property(problems, ({ n, seed, covariance, metric, rank }) => {
        const best = projector(obliqueBasis({ covariance, metric, rank, floor: 1e-12 }));
        const change = randomInvertible(n, seed);
        const near = multiply(invert(change), multiply(best, change));
        const far = projector(obliqueBasis({ covariance: randomGram(n, seed + 9), rank }));
        // Costs are differences of numbers up to tr(M C): at full rank all of them are its rounding errors.
        const rounding = 1e-12 * trace(multiply(metric, covariance));
        const lowest = cost(best, covariance, metric);
        for (const other of [near, far])
          expect(cost(other, covariance, metric)).toBeGreaterThanOrEqual(lowest - rounding);
      }),
    );
  });

  it("retains what principal components of rows whitened by another factor of the metric do", () => {
    fc.assert(
      fc.property(problems, ({ covariance, metric, rank }) => {
        const { retained } = obliqueBasis({ covariance, metric, rank, floor: 1e-12 });
        expect(retained).toBeCloseTo(whitenedComponents(covariance, metric, rank).retained, 9);
      }),
    );
  });

  // Fixed cases, whose eigenvalues at the cut lie well apart: only then is the best projector unique.
  it.each([1, 2, 3, 5])("is, whitened, the projector onto those components, at rank %i", (rank) => {
    const covariance = randomGram(6, 1);
    const metric = randomGram(6, 2);
    const ours = projector(obliqueBasis({ covariance, metric, rank, floor: 1e-12 }));
    const whitened = projector(whitenedComponents(covariance, metric, rank));
    const factor = cholesky(metric);
    expect(maxDifference(multiply(ours, factor), multiply(factor, whitened))).toBeLessThan(tolerance);
  });

  it("does not depend on the metric's scale, and is plain for a multiple of the identity", () => {
    fc.assert(
      fc.property(problems, ({ n, covariance, metric, rank }) => {
        const p = projector(obliqueBasis({ covariance, metric, rank }));
        const scaled = projector(obliqueBasis({ covariance, metric: scale(metric, 64), rank }));
        expect(maxDifference(p, scaled)).toBeLessThan(1e-6);
        const plain = obliqueBasis({ covariance, rank });
        const trivial = obliqueBasis({ covariance, metric: scale(identity(n), 4), rank });
        expect(maxDifference(projector(plain), projector(trivial))).toBeLessThan(1e-6);
        expect(trivial.retained).toBeCloseTo(plain.retained, 12);
      }),
    );
  });

  it("takes the metric whole or in blocks", () => {
    fc.assert(
      fc.property(problems, ({ covariance, metric, metricBlocks, rank }) => {
        const whole = obliqueBasis({ covariance, metric, rank, floor: 1e-12 });
        const blocks = obliqueBasis({ covariance, metricBlocks, rank, floor: 1e-12 });
        expect(blocks.retained).toBeCloseTo(whole.retained, 9);
        expect(maxDifference(projector(blocks), projector(whole))).toBeLessThan(1e-6);
      }),
    );
  });

  it("floors all blocks alike: one that is zero, or small, does not weigh like the others", () => {
    const covariance = randomGram(6, 1);
    const metricBlocks = [scale(randomGram(2, 2), 1e4), createMatrix(2, 2), scale(randomGram(2, 3), 1e-6)];
    const blocks = obliqueBasis({ covariance, metricBlocks, rank: 2 });
    const whole = obliqueBasis({ covariance, metric: blockDiagonal(metricBlocks), rank: 2 });
    expect(maxDifference(projector(blocks), projector(whole))).toBeLessThan(tolerance);
    expect(blocks.retained).toBeGreaterThan(0.99999);
  });

  it("retains everything of nothing", () => {
    const basis = obliqueBasis({ covariance: createMatrix(3, 3), rank: 1 });
    expect(basis.retained).toBe(1);
    expect(maxDifference(multiply(basis.decode, basis.encode), identity(1))).toBeLessThan(tolerance);
  });

  it("refuses both kinds of metric, wrong sizes and wrong ranks", () => {
    const covariance = identity(3);
    expect(() =>
      obliqueBasis({ covariance, metric: covariance, metricBlocks: [covariance], rank: 1 }),
    ).toThrow(/got both/);
    expect(() => obliqueBasis({ covariance, metricBlocks: [identity(2)], rank: 1 })).toThrow(
      /metric to be \[3, 3\], got \[2, 2\]/,
    );
    expect(() => obliqueBasis({ covariance, metricBlocks: [createMatrix(1, 2)], rank: 1 })).toThrow(
      /metric block 0 to be square/,
    );
    expect(() => obliqueBasis({ covariance, rank: 4 })).toThrow(/rank from 0 to 3/);
    const bad = createMatrix(1, 1, Float64Array.of(Number.NaN));
    expect(() => obliqueBasis({ covariance: bad, rank: 1 })).toThrow(
      /obliqueBasis: expected covariance to be finite/,
    );
    expect(() => obliqueBasis({ covariance: identity(1), metric: bad, rank: 1 })).toThrow(
      /block 0 to be finite/,
    );
    const vast = createMatrix(1, 1, Float64Array.of(1e300));
    expect(() => obliqueBasis({ covariance: vast, metric: vast, rank: 1 })).toThrow(
      /under the metric to be finite/,
    );
  });
});

describe("obliqueBasisAsync", () => {
  it("is obliqueBasis, with products made by the port", async () => {
    const { products, work } = recordingProducts();
    const covariance = randomGram(150, 1);
    const metricBlocks = [randomGram(100, 2), randomGram(50, 3)];
    for (const metric of [{}, { metricBlocks }, { metric: blockDiagonal(metricBlocks) }]) {
      const basis = await obliqueBasisAsync({ covariance, ...metric, rank: 40, products });
      const expected = obliqueBasis({ covariance, ...metric, rank: 40 });
      expect(maxDifference(projector(basis), projector(expected))).toBeLessThan(tolerance);
      expect(basis.retained).toBeCloseTo(expected.retained, 12);
    }
    for (const amount of Object.values(work)) expect(amount).toBeGreaterThan(0);
  });

  it("refuses what obliqueBasis does", async () => {
    await expect(obliqueBasisAsync({ covariance: identity(3), rank: 4 })).rejects.toThrow(
      /obliqueBasisAsync: expected a rank from 0 to 3/,
    );
  });
});
