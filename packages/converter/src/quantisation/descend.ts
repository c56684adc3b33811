import { BLOCK_SIZE, nearestCode, ZERO_CODE } from "@kvfold/decoder";
import { createMatrix, type Matrix, type MatrixProducts } from "@kvfold/linalg";
import { addTo, type Choice } from "./rounding-grid.js";

/** Times that all codes and scales are looked at again. */
const PASSES = 3;

/**
 * Looks at one block of inputs after the other and moves each of its codes, then its scales, to where the output's squared
 * error is least with all others as they are; so the error never grows. In place.
 */
export async function descend(choice: Choice, square: Matrix, products: MatrixProducts): Promise<void> {
  const { errors } = choice;
  const { rows: inputs, cols: outputs } = errors;
  const pull = createMatrix(inputs, outputs, (await products.multiply(square, errors)).data.slice());
  for (let pass = 0; pass < PASSES; pass++) {
    for (let start = 0; start < inputs; start += BLOCK_SIZE) {
      const end = Math.min(start + BLOCK_SIZE, inputs);
      const before = errors.data.slice(start * outputs, end * outputs);
      for (let output = 0; output < outputs; output++)
        improveBlock(choice, square, pull, { start, end, output });
      const moved = errors.data.slice(start * outputs, end * outputs);
      for (let at = 0; at < moved.length; at++) moved[at]! -= before[at]!;
      const rows = createMatrix(end - start, inputs, square.data.subarray(start * inputs, end * inputs));
      addTo(pull.data, await products.transposeMultiply(rows, createMatrix(end - start, outputs, moved)));
    }
  }
}

/** A block of inputs of one output. */
interface BlockOfOutput {
  readonly start: number;
  readonly end: number;
  readonly output: number;
}

/** Moves codes and scale of a block; `pull` is `H e`, of which the block's own part is kept up to date here. */
function improveBlock(
  { codes, scales, errors }: Choice,
  { rows: inputs, data: square }: Matrix,
  { data: pull }: Matrix,
  { start, end, output }: BlockOfOutput,
): void {
  const outputs = errors.cols;
  const scaleAt = output * Math.ceil(inputs / BLOCK_SIZE) + start / BLOCK_SIZE;
  const scale = scales[scaleAt]!;
  if (scale === 0) return;
  const own = new Float64Array(end - start);
  for (let i = start; i < end; i++) own[i - start] = pull[i * outputs + output]!;
  for (let i = start; i < end; i++) {
    const at = i * outputs + output;
    const steps = codes[at]! - ZERO_CODE;
    const code = nearestCode(steps * scale + own[i - start]! / square[i * (inputs + 1)]!, 1 / scale);
    const moved = (code - codes[at]!) * scale;
    if (moved === 0) continue;
    codes[at] = code;
    errors.data[at]! -= moved;
    for (let j = start; j < end; j++) own[j - start]! -= square[j * inputs + i]! * moved;
  }
  let gain = 0;
  let size = 0;
  for (let i = start; i < end; i++) {
    const steps = codes[i * outputs + output]! - ZERO_CODE;
    gain += steps * own[i - start]!;
    for (let j = start; j < end; j++)
      size += steps * square[i * inputs + j]! * (codes[j * outputs + output]! - ZERO_CODE);
  }
  if (size <= 0) return;
  const changed = Math.fround(scale + gain / size);
  scales[scaleAt] = changed;
  for (let i = start; i < end; i++) {
    const at = i * outputs + output;
    errors.data[at]! -= (codes[at]! - ZERO_CODE) * (changed - scale);
  }
}
