import {
  add,
  createMatrix,
  type Matrix,
  type Moments,
  plainProducts,
  projector,
  scale,
  transposeMultiply,
} from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { largestDifference } from "../../test/support/numbers.js";
import { randomGroup, randomRows } from "../../test/support/random-group.js";
import { eigenAttention, eigenMoments } from "./eigen-attention.js";
import type { Group } from "./method.js";
import { svdA } from "./svd-a.js";

const HEAD = 8;
const TOKENS = 40;

/** The moments of a layer's rows: nothing but their sums. */
function momentsOf(rows: Matrix): Moments {
  const sum = new Float64Array(rows.cols);
  for (const [index, value] of rows.data.entries()) sum[index % rows.cols]! += value;
  return { width: rows.cols, count: rows.rows, sum, gram: transposeMultiply(rows, rows).data };
}

/** `E[yᵀy]` of one head's columns, from the rows. */
function headMoment({ cols, data }: Matrix, head: number): Matrix {
  const part = Array.from({ length: TOKENS }, (_, row) => [
    ...data.subarray(row * cols + head * HEAD, row * cols + (head + 1) * HEAD),
  ]);
  const rows = createMatrix(TOKENS, HEAD, Float64Array.from(part.flat()));
  return scale(transposeMultiply(rows, rows), 1 / TOKENS);
}

const queries = randomRows(TOKENS, 4 * HEAD, 1);
const keys = randomRows(TOKENS, 2 * HEAD, 2);

/** The two KV heads of a layer of four query heads. */
function layerOf(change: Partial<Group> = {}): readonly Group[] {
  const taps = { queries: momentsOf(queries), keysBeforeRope: momentsOf(keys) };
  return [0, 1].map((index) =>
    randomGroup({ span: 1, headDim: HEAD, rank: 3 }, index, {
      index,
      measured: (tap) => taps[tap as keyof typeof taps],
      readers: [[2 * index, 2 * index + 1]],
      ...change,
    }),
  );
}

/** Of float64 sums of 40 products of numbers up to 10. */
const TOLERANCE = 1e-9;

describe("keys under RoPE", () => {
  it("share one basis: the heads of a layer count as more tokens", async () => {
    const [first, second] = await eigenAttention.bases!(layerOf(), plainProducts);
    expect(second).toBe(first);
    const [moment, ...others] = eigenMoments(layerOf());
    expect(others).toEqual([]);
    const mean = scale(add(headMoment(keys, 0), headMoment(keys, 1)), 1 / 2);
    expect(largestDifference(moment!.data, mean.data)).toBeLessThan(TOLERANCE);
  });

  it("are not centred", async () => {
    // Two heads that always say the same: without the mean nothing would be left.
    const constant = createMatrix(TOKENS, 4, new Float64Array(TOKENS * 4).fill(3));
    const groups = [0, 1].map((index) =>
      randomGroup({ span: 1, headDim: 2, rank: 1 }, 1, { index, measured: () => momentsOf(constant) }),
    );
    const [basis] = await eigenAttention.bases!(groups, plainProducts);
    expect(basis!.retained).toBeCloseTo(1, 12);
    expect([...projector(basis!).data].map((value) => value.toFixed(9))).toEqual(
      Array(4).fill("0.500000000"),
    );
  });
});

describe("keys without RoPE", () => {
  it("have a basis a head, of its keys and of the queries that read it, unbalanced", async () => {
    const moments = eigenMoments(layerOf({ rotaryDim: 0 }));
    for (const [head, moment] of moments.entries()) {
      const readers = add(headMoment(queries, 2 * head), headMoment(queries, 2 * head + 1));
      const stacked = add(headMoment(keys, head), readers);
      expect(largestDifference(moment.data, stacked.data)).toBeLessThan(TOLERANCE);
    }
    const [first, second] = await eigenAttention.bases!(layerOf({ rotaryDim: 0 }), plainProducts);
    expect(largestDifference(projector(first!).data, projector(second!).data)).toBeGreaterThan(0.1);
  });
});

describe("values", () => {
  it("have a basis a head, svd-a's", async () => {
    const groups = layerOf({ side: "values" });
    expect(await eigenAttention.bases!(groups, plainProducts)).toEqual(
      await Promise.all(groups.map((group) => svdA.basis!(group, plainProducts))),
    );
  });
});
