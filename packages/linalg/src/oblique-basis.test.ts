import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cholesky } from "../test/cholesky.js";
import { maxDifference } from "../test/max-difference.js";
import { randomGram, randomInvertible, seeds } from "../test/random-matrix.js";
import { recordingProducts } from "../test/recording-products.js";
import { scale, subtract } from "./arithmetic.js";
import { type Basis, projector } from "./basis.js";
import { blockDiagonal } from "./blocks.js";
import { createMatrix, identity, type Matrix, transpose } from "./matrix.js";
import { multiply, transposeMultiply } from "./multiply.js";
import { obliqueBasis } from "./oblique-basis.js";
import { ridgeSolve } from "./solve.js";
import { trace } from "./trace.js";

/** Products of a root and its inverse, condition number at most 1000, of matrices up to n = 12. */
const tolerance = 1e-10;

/** `tr(M (I - P)ᵀ C (I - P))`: what storing rows through `P` costs. */
function cost(p: Matrix, covariance: Matrix, metric: Matrix): number {
  const lost = subtract(identity(p.rows), p);
  return trace(multiply(metric, multiply(transposeMultiply(lost, covariance), lost)));
}

/** With `M = L Lᵀ` the rows `y L` have plain second moment `Lᵀ C L`: no symmetric root involved. */
function whitenedComponents(covariance: Matrix, metric: Matrix, rank: number): Promise<Basis> {
  const factor = cholesky(metric);
  return obliqueBasis({ covariance: multiply(transposeMultiply(factor, covariance), factor), rank });
}

/** By the normal equations. */
const invert = (a: Matrix): Promise<Matrix> =>
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
  it("makes an idempotent projector of the rank asked for", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ covariance, metric, rank }) => {
        const basis = await obliqueBasis({ covariance, metric, rank });
        const p = projector(basis);
        expect(maxDifference(multiply(p, p), p)).toBeLessThan(tolerance);
        expect(maxDifference(multiply(basis.decode, basis.encode), identity(rank))).toBeLessThan(tolerance);
      }),
    );
  });

  it("retains exactly what the cost says, and everything at full rank", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ n, covariance, metric, rank }) => {
        const basis = await obliqueBasis({ covariance, metric, rank, floor: 1e-12 });
        const total = trace(multiply(metric, covariance));
        expect(1 - cost(projector(basis), covariance, metric) / total).toBeCloseTo(basis.retained, 7);
        const full = await obliqueBasis({ covariance, metric, rank: n });
        expect(full.retained).toBe(1);
        expect(maxDifference(projector(full), identity(n))).toBeLessThan(tolerance);
      }),
    );
  });

  it("costs no more than other projectors of its rank, near or far", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ n, seed, covariance, metric, rank }) => {
        const best = projector(await obliqueBasis({ covariance, metric, rank, floor: 1e-12 }));
        const change = randomInvertible(n, seed);
        const near = multiply(await invert(change), multiply(best, change));
        const far = projector(await obliqueBasis({ covariance: randomGram(n, seed + 9), rank }));
        // Costs are differences of numbers up to tr(M C): at full rank all of them are its rounding errors.
        const rounding = 1e-12 * trace(multiply(metric, covariance));
        const lowest = cost(best, covariance, metric);
        for (const other of [near, far])
          expect(cost(other, covariance, metric)).toBeGreaterThanOrEqual(lowest - rounding);
      }),
    );
  });

  it("retains what principal components of rows whitened by another factor of the metric do", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ covariance, metric, rank }) => {
        const { retained } = await obliqueBasis({ covariance, metric, rank, floor: 1e-12 });
        expect(retained).toBeCloseTo((await whitenedComponents(covariance, metric, rank)).retained, 9);
      }),
    );
  });

  // Fixed cases, whose eigenvalues at the cut lie well apart: only then is the best projector unique.
  it.each([1, 2, 3, 5])("is, whitened, the projector onto those components, at rank %i", async (rank) => {
    const covariance = randomGram(6, 1);
    const metric = randomGram(6, 2);
    const ours = projector(await obliqueBasis({ covariance, metric, rank, floor: 1e-12 }));
    const whitened = projector(await whitenedComponents(covariance, metric, rank));
    const factor = cholesky(metric);
    expect(maxDifference(multiply(ours, factor), multiply(factor, whitened))).toBeLessThan(tolerance);
  });

  it("does not depend on the metric's scale, and is plain for a multiple of the identity", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ n, covariance, metric, rank }) => {
        const p = projector(await obliqueBasis({ covariance, metric, rank }));
        const scaled = projector(await obliqueBasis({ covariance, metric: scale(metric, 64), rank }));
        expect(maxDifference(p, scaled)).toBeLessThan(1e-6);
        const plain = await obliqueBasis({ covariance, rank });
        const trivial = await obliqueBasis({ covariance, metric: scale(identity(n), 4), rank });
        expect(maxDifference(projector(plain), projector(trivial))).toBeLessThan(1e-6);
        expect(trivial.retained).toBeCloseTo(plain.retained, 12);
      }),
    );
  });

  it("takes the metric whole or in blocks", async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ covariance, metric, metricBlocks, rank }) => {
        const whole = await obliqueBasis({ covariance, metric, rank, floor: 1e-12 });
        const blocks = await obliqueBasis({ covariance, metricBlocks, rank, floor: 1e-12 });
        expect(blocks.retained).toBeCloseTo(whole.retained, 9);
        expect(maxDifference(projector(blocks), projector(whole))).toBeLessThan(1e-6);
      }),
    );
  });

  it("floors all blocks alike: one that is zero, or small, does not weigh like the others", async () => {
    const covariance = randomGram(6, 1);
    const metricBlocks = [scale(randomGram(2, 2), 1e4), createMatrix(2, 2), scale(randomGram(2, 3), 1e-6)];
    const blocks = await obliqueBasis({ covariance, metricBlocks, rank: 2 });
    const whole = await obliqueBasis({ covariance, metric: blockDiagonal(metricBlocks), rank: 2 });
    expect(maxDifference(projector(blocks), projector(whole))).toBeLessThan(tolerance);
    expect(blocks.retained).toBeGreaterThan(0.99999);
  });

  it("gives the energies of all directions at rank 0, with no vectors", async () => {
    const problem = { covariance: randomGram(60, 1), metricBlocks: [randomGram(20, 2), randomGram(40, 3)] };
    const none = await obliqueBasis({ ...problem, rank: 0 });
    expect([none.encode.cols, none.decode.rows]).toEqual([0, 0]);
    const { energies } = await obliqueBasis({ ...problem, rank: 1 });
    // Another way to the same values: some roundings of the largest.
    const difference = none.energies.map((energy, at) => Math.abs(energy - energies[at]!));
    expect(Math.max(...difference)).toBeLessThan(1e-13 * energies[0]!);
  });

  it("retains everything of nothing", async () => {
    const basis = await obliqueBasis({ covariance: createMatrix(3, 3), rank: 1 });
    expect(basis.retained).toBe(1);
    expect(maxDifference(multiply(basis.decode, basis.encode), identity(1))).toBeLessThan(tolerance);
  });

  it("stores numbers of unit variance, uncorrelated", async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.boolean(), async ({ covariance, metric, rank }, weighted) => {
        const { encode } = await obliqueBasis({ covariance, metric: weighted ? metric : undefined, rank });
        const stored = multiply(transposeMultiply(encode, covariance), encode);
        expect(maxDifference(stored, identity(rank))).toBeLessThan(tolerance);
      }),
    );
  });

  it("gives directions without variance columns of unit length, whatever the metric's scale", async () => {
    const covariance = createMatrix(3, 3, Float64Array.of(1e-8, 0, 0, 0, 0, 0, 0, 0, 0));
    for (const metric of [undefined, scale(identity(3), 1e-12)]) {
      const { encode, decode } = await obliqueBasis({ covariance, metric, rank: 3 });
      const lengths = [0, 1, 2].map((col) =>
        Math.hypot(...[0, 1, 2].map((row) => encode.data[row * 3 + col]!)),
      );
      expect(lengths.map((length) => Number(length.toPrecision(9)))).toEqual([1e4, 1, 1]);
      expect(maxDifference(multiply(decode, encode), identity(3))).toBeLessThan(tolerance);
    }
  });

  it("has its products made by the port", async () => {
    const { products, work } = recordingProducts();
    const covariance = randomGram(150, 1);
    const metricBlocks = [randomGram(100, 2), randomGram(50, 3)];
    for (const metric of [{}, { metricBlocks }, { metric: blockDiagonal(metricBlocks) }]) {
      const basis = await obliqueBasis({ covariance, ...metric, rank: 40, products });
      const expected = await obliqueBasis({ covariance, ...metric, rank: 40 });
      expect(maxDifference(projector(basis), projector(expected))).toBeLessThan(tolerance);
      expect(basis.retained).toBeCloseTo(expected.retained, 12);
    }
    for (const amount of Object.values(work)) expect(amount).toBeGreaterThan(0);
  });

  const [three, bad] = [identity(3), createMatrix(1, 1, Float64Array.of(Number.NaN))];
  const vast = createMatrix(1, 1, Float64Array.of(1e300));
  it.each([
    [
      "both kinds of metric",
      { covariance: three, metric: three, metricBlocks: [three], rank: 1 },
      /found both/,
    ],
    [
      "a metric of another size",
      { covariance: three, metricBlocks: [identity(2)], rank: 1 },
      /metric to be \[3, 3\], found \[2, 2\]/,
    ],
    [
      "blocks that are not square",
      { covariance: three, metricBlocks: [createMatrix(1, 2)], rank: 1 },
      /metric block 0 to be square/,
    ],
    ["a rank above n", { covariance: three, rank: 4 }, /rank from 0 to 3/],
    ["NaN", { covariance: bad, rank: 1 }, /obliqueBasis: expected covariance to be finite/],
    ["NaN in the metric", { covariance: identity(1), metric: bad, rank: 1 }, /block 0 to be finite/],
    ["overflow", { covariance: vast, metric: vast, rank: 1 }, /under the metric to be finite/],
  ])("refuses %s", async (_, options, message) => {
    await expect(obliqueBasis(options)).rejects.toThrow(message);
  });
});
