import { createMatrix, type Matrix, type Moments, multiply, transposeMultiply } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import type { Tap } from "../../src/index.js";
import type { Group, JointGroup } from "../../src/methods/method.js";

/** Tokens behind the moments of a random group. */
const TOKENS = 60;

/** Random rows `[count, width]` with a mean of their own, in directions of very different sizes. */
export function randomRows(count: number, width: number, seed: number): Matrix {
  const next = gaussians(seed);
  const mix = Float64Array.from({ length: width * width }, () => next());
  const data = Float64Array.from(
    { length: count * width },
    (_, index) => next() * 0.6 ** (index % width) + 0.3,
  );
  return multiply(createMatrix(count, width, data), createMatrix(width, width, mix));
}

/** Sums over the rows of a matrix. */
export function momentsOfRows(rows: Matrix): Moments {
  const sum = new Float64Array(rows.cols);
  for (const [index, value] of rows.data.entries()) sum[index % rows.cols]! += value;
  const { data: gram } = transposeMultiply(rows, rows);
  return { width: rows.cols, count: rows.rows, sum, gram };
}

export interface GroupShape {
  readonly span: number;
  readonly headDim: number;
  readonly rank: number;
}

/** A group that is its whole layer, one query head to a KV head, with random weights, activations and attention. */
export function randomGroup(shape: GroupShape, seed = 1, change: Partial<Group> = {}): Group {
  const { span, headDim } = shape;
  const width = span * headDim;
  const widths: Partial<Record<Tap, number>> = { attentionWeights: span };
  return {
    ...shape,
    side: "keys",
    layer: 0,
    index: 0,
    seed,
    rotaryDim: headDim,
    weights: () => randomRows(12, width, seed + 1),
    moments: () => momentsOfRows(randomRows(TOKENS, width, seed)),
    measured: (tap) =>
      momentsOfRows(randomRows(TOKENS, widths[tap] ?? width, seed + (tap === "queries" ? 2 : 3))),
    readers: Array.from({ length: span }, (_, head) => [head]),
    outputWeights: (head) => randomRows(headDim, 10, seed + 10 + head),
    outputBias: true,
    ...change,
  };
}

/** The same with keys and values together: whole heads turn, and one rank of both. */
export function randomJointGroup(shape: GroupShape, seed = 1, change: Partial<JointGroup> = {}): JointGroup {
  const { span, headDim } = shape;
  const { layer, index, measured, readers, outputWeights, rotaryDim } = randomGroup(shape, seed);
  const width = 2 * span * headDim;
  return {
    ...shape,
    layer,
    index,
    measured,
    readers,
    outputWeights,
    rotaryDim,
    moments: () => momentsOfRows(randomRows(TOKENS, width, seed)),
    mayCentre: Array.from({ length: width }, (_, column) => column >= width / 2),
    turned: (moments) => moments,
    keyGains: new Float64Array(headDim).fill(1 / Math.sqrt(headDim)),
    normGains: undefined,
    ...change,
  };
}
