import { BLOCK_SIZE, type Linear, nearestCode, ZERO_CODE } from "@kvfold/decoder";
import { createMatrix, type Matrix } from "@kvfold/linalg";

/** Weights in the order in which they are rounded, `[K, N]`, and the scale of each. */
export interface Grid {
  readonly weights: Matrix;
  /** `[N, blocks]`. */
  readonly scales: Float32Array;
  /** `order[i]` is the input that is rounded as number `i`. */
  readonly order: Uint32Array;
  readonly blocks: number;
}

/** `[K, N]` each, in the order of the grid. */
export interface Rounded {
  readonly codes: Uint8Array;
  /** Weights less what their codes stand for. */
  readonly errors: Matrix;
}

export const emptyRounded = ({ weights: { rows, cols } }: Grid): Rounded => ({
  codes: new Uint8Array(rows * cols),
  errors: createMatrix(rows, cols),
});

/** Rounds row `place` of the grid, whose weights are to become `wanted`. */
export function roundRow(grid: Grid, place: number, wanted: Float64Array, { codes, errors }: Rounded): void {
  const { weights, scales, order, blocks } = grid;
  const block = Math.floor(order[place]! / BLOCK_SIZE);
  const outputs = weights.cols;
  for (let output = 0, at = place * outputs; output < outputs; output++, at++) {
    const scale = scales[output * blocks + block]!;
    const code = scale === 0 ? ZERO_CODE : nearestCode(wanted[output]!, 1 / scale);
    codes[at] = code;
    errors.data[at] = weights.data[at]! - (code - ZERO_CODE) * scale;
  }
}

/** Codes and scales, and what they leave of the weights, inputs in their own order. */
export interface Choice {
  /** `[K, N]`. */
  readonly codes: Uint8Array;
  /** `[N, blocks]`. */
  readonly scales: Float32Array;
  /** `[K, N]`. */
  readonly errors: Matrix;
}

/** Every weight to the code that is nearest to it. */
export function nearestCodes({ inputs, outputs, weight }: Linear, scales: Float32Array): Choice {
  const order = Uint32Array.from({ length: inputs }, (_, input) => input);
  const weights = createMatrix(inputs, outputs, Float64Array.from(weight));
  const grid: Grid = { weights, scales, order, blocks: Math.ceil(inputs / BLOCK_SIZE) };
  const rounded = emptyRounded(grid);
  for (let input = 0; input < inputs; input++)
    roundRow(grid, input, weights.data.subarray(input * outputs, (input + 1) * outputs), rounded);
  return { ...rounded, scales };
}

export function addTo(target: Float64Array, { data }: Matrix): void {
  for (let at = 0; at < target.length; at++) target[at]! += data[at]!;
}
