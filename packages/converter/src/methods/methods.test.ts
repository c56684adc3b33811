import {
  createMatrix,
  fromFloat32,
  type Matrix,
  multiply,
  plainProducts,
  projector,
  subtract,
} from "@kvfold/linalg";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestDifference } from "../../test/support/numbers.js";
import { type GroupShape, randomGroup, randomRows } from "../../test/support/random-group.js";
import { DEFAULT_METHOD, findMethod, methods } from "./index.js";
import type { Basis, Group } from "./method.js";

const names = [
  "none",
  "random",
  "mean",
  "svd-w",
  "svd-a",
  "paper",
  "lorc",
  "eigen-attention",
  "latent",
  "commuting",
] as const;

const basisOf = (name: string, group: Group): Promise<Basis> => findMethod(name).basis!(group, plainProducts);
const half: GroupShape = { span: 2, headDim: 8, rank: 8 };

/** Sum of the squares of what a basis loses of `rows`. */
function lostEnergy(rows: Matrix, basis: Basis): number {
  const lost = subtract(rows, multiply(rows, projector(basis)));
  return lost.data.reduce((sum, value) => sum + value ** 2, 0);
}

describe("the registry", () => {
  it("holds every method once, baselines first", () => {
    expect(methods.slice(0, 2).map(({ name }) => name)).toEqual(["none", "random"]);
    const listed = methods.map(({ name }) => name);
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed).toEqual(expect.arrayContaining([...names]));
  });

  it("finds methods by name, the default among them", () => {
    expect(findMethod("svd-a").name).toBe("svd-a");
    expect(findMethod(DEFAULT_METHOD).name).toBe(DEFAULT_METHOD);
  });

  it("says of an unknown name which there are", () => {
    expect(() => findMethod("toString")).toThrow(
      expect.objectContaining({
        code: "invalid-option",
        message: expect.stringMatching(/^method "toString" is unknown; choose one of none, random, mean/),
      }),
    );
  });

  it.each(methods)("$name says what it does and where it comes from", ({ summary, reference }) => {
    expect(summary.length).toBeGreaterThan(10);
    expect(reference).not.toBe("");
  });
});

describe.each(names)("a basis of %s", (name) => {
  const shape = name === "none" ? { ...half, rank: 16 } : half;

  it("has the shapes [s d, r] and [r, s d]", async () => {
    const { encode, decode } = await basisOf(name, randomGroup(shape));
    expect([encode.rows, encode.cols]).toEqual([16, shape.rank]);
    expect([decode.rows, decode.cols]).toEqual([shape.rank, 16]);
  });

  it("makes a projector: folding twice is folding once", async () => {
    const shapes = fc.record({
      span: fc.constantFrom(1, 2, 4),
      headDim: fc.constantFrom(2, 4, 8),
      shrink: fc.constantFrom(1, 2, 4),
    });
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer({ min: 0, max: 1000 }), async ({ span, headDim, shrink }, seed) => {
        fc.pre(span % shrink === 0 && (name !== "none" || shrink === 1));
        const group = randomGroup({ span, headDim, rank: (span * headDim) / shrink }, seed);
        const p = projector(await basisOf(name, group));
        // Orthonormal to float64 rounding of an eigensolver on matrices up to 32.
        expect(largestDifference(multiply(p, p).data, p.data)).toBeLessThan(1e-10);
      }),
      { numRuns: 25 },
    );
  });
});

describe("none", () => {
  it("is the identity", async () => {
    const { encode, retained } = await basisOf("none", randomGroup({ ...half, rank: 16 }));
    expect([...encode.data.subarray(0, 18)]).toEqual([1, ...Array(16).fill(0), 1]);
    expect(retained).toBe(1);
  });
});

describe("mean", () => {
  it("stores the average of the heads and reads it back for each", async () => {
    const basis = await basisOf("mean", randomGroup({ span: 2, headDim: 2, rank: 2 }));
    const row = createMatrix(1, 4, Float64Array.of(1, 10, 3, 30));
    expect([...multiply(row, basis.encode).data]).toEqual([2, 20]);
    expect([...multiply(row, projector(basis)).data]).toEqual([2, 20, 2, 20]);
  });

  it("averages neighbours where the span is wider than the shrink", async () => {
    const basis = await basisOf("mean", randomGroup({ span: 4, headDim: 1, rank: 2 }));
    const row = createMatrix(1, 4, Float64Array.of(1, 3, 10, 30));
    expect([...multiply(row, projector(basis)).data]).toEqual([2, 2, 20, 20]);
  });

  it("refuses to keep three of four heads", async () => {
    await expect(basisOf("mean", randomGroup({ span: 4, headDim: 8, rank: 24 }))).rejects.toThrow(
      expect.objectContaining({
        code: "invalid-option",
        message: "method mean: expected a rank that divides the 32 numbers of its heads, found 24",
      }),
    );
  });
});

describe("svd-a", () => {
  it("finds the one direction that rows lie in", async () => {
    const gram = Float64Array.of(9, 12, 12, 16); // rows (3, 4)
    const group = randomGroup({ span: 1, headDim: 2, rank: 1 }, 1, {
      moments: () => ({ width: 2, count: 1, sum: Float64Array.of(3, 4), gram }),
    });
    const { encode, decode, retained } = await basisOf("svd-a", group);
    // The row is stored as a 1.
    expect(largestDifference(encode.data, [0.12, 0.16])).toBeLessThan(1e-12);
    expect(largestDifference(decode.data, [3, 4])).toBeLessThan(1e-12);
    expect(retained).toBeCloseTo(1, 12);
  });

  it("loses no more of the activations than any other method, and what it says", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1000 }), async (seed) => {
        const rows = randomRows(60, 16, seed);
        const group = randomGroup(half, seed);
        const basis = await basisOf("svd-a", group);
        const lost = lostEnergy(rows, basis);
        const total = rows.data.reduce((sum, value) => sum + value ** 2, 0);
        // The moments are exact sums; eigenvectors of a 16 x 16 matrix are good to 1e-13.
        expect(lost / total).toBeCloseTo(1 - basis.retained!, 10);
        for (const other of ["random", "mean", "svd-w"])
          expect(lost).toBeLessThanOrEqual(lostEnergy(rows, await basisOf(other, group)) + 1e-10 * total);
      }),
      { numRuns: 20 },
    );
  });

  it("is what the paper's method uses in each group", async () => {
    const group = randomGroup(half);
    expect(await basisOf("paper", group)).toEqual(await basisOf("svd-a", group));
  });
});

describe("svd-w", () => {
  it("loses no more of the weights than any other method, and reads no moments", async () => {
    const group = randomGroup(half, 3, {
      moments: () => {
        throw new Error("read");
      },
    });
    const weights = group.weights();
    const lost = lostEnergy(weights, await basisOf("svd-w", group));
    for (const other of ["random", "mean"])
      expect(lost).toBeLessThan(lostEnergy(weights, await basisOf(other, group)));
    expect(lost).toBeLessThan(lostEnergy(weights, await basisOf("svd-a", randomGroup(half, 3))));
  });
});

describe("random", () => {
  it("repeats for a seed", async () => {
    expect(await basisOf("random", randomGroup(half, 5))).toEqual(
      await basisOf("random", randomGroup(half, 5)),
    );
  });

  it.each([
    ["seed", { seed: 6 }],
    ["layer", { layer: 1 }],
    ["group", { index: 1 }],
    ["side", { side: "values" }],
  ] as const)("differs with the %s", async (_, change) => {
    const difference = largestDifference(
      (await basisOf("random", randomGroup(half, 5))).encode.data,
      (await basisOf("random", randomGroup(half, 5, change))).encode.data,
    );
    expect(difference).toBeGreaterThan(0.1);
  });

  it("keeps half of the energy of rows without a direction", async () => {
    const width = 16;
    const rows = fromFloat32(
      width,
      width,
      Float32Array.from({ length: width * width }, (_, i) => Number(i % (width + 1) === 0)),
    );
    // The energy that a projector of rank r keeps of the identity is its trace, r.
    expect(lostEnergy(rows, await basisOf("random", randomGroup(half)))).toBeCloseTo(8, 10);
  });
});
