import { BLOCK_SIZE, nearestCode, ZERO_CODE } from "@kvfold/decoder";
import { createMatrix, type Matrix, type MatrixProducts, slice } from "@kvfold/linalg";
import { addTo, type Choice } from "./rounding-grid.js";

/** Times that all codes and scales are looked at again. */
const PASSES = 3;

/** Inputs whose part of the pull is made in one product unless told otherwise; whole blocks. */
const STRIP = 8 * BLOCK_SIZE;

/**
 * Looks at one block of inputs after the other and moves each of its codes, then its scales, to where the output's squared
 * error is least with all others as they are; so the error never grows. In place.
 */
export async function descend(
  choice: Choice,
  square: Matrix,
  products: MatrixProducts,
  size: number = STRIP,
): Promise<void> {
  const { rows: inputs } = choice.errors;
  for (let pass = 0; pass < PASSES; pass++)
    for (let start = 0; start < inputs; start += size)
      await descendStrip(choice, square, { start, end: Math.min(start + size, inputs) }, products);
}

/** Inputs `[start, end)`. */
interface Strip {
  readonly start: number;
  readonly end: number;
}

/** The blocks of a strip in turn: its pull is made of all errors once, then follows what its own blocks move. */
async function descendStrip(
  choice: Choice,
  square: Matrix,
  { start, end }: Strip,
  products: MatrixProducts,
): Promise<void> {
  const { errors } = choice;
  const { cols: outputs } = errors;
  const made = await products.multiply(rowsOf(square, start, end), errors);
  // Products may be memory of the engine's.
  const pull = createMatrix(made.rows, outputs, made.data.slice());
  for (let from = start; from < end; from += BLOCK_SIZE) {
    const to = Math.min(from + BLOCK_SIZE, end);
    const before = rowsOf(errors, from, to).data.slice();
    for (let output = 0; output < outputs; output++)
      improveBlock(choice, square, { pull, first: start }, { start: from, end: to, output });
    if (to === end) return;
    const moved = createMatrix(to - from, outputs, rowsOf(errors, from, to).data.slice());
    for (let at = 0; at < before.length; at++) moved.data[at]! -= before[at]!;
    const factors = slice(square, { rows: [to, end], cols: [from, to] });
    const rest = pull.data.subarray((to - start) * outputs);
    addTo(rest, await products.multiply(factors, moved));
  }
}

/** Rows `[start, end)`, in the same memory. */
const rowsOf = ({ cols, data }: Matrix, start: number, end: number): Matrix =>
  createMatrix(end - start, cols, data.subarray(start * cols, end * cols));

/** Rows of `H e` from the input `first` on. */
interface Pull {
  readonly pull: Matrix;
  readonly first: number;
}

/** A block of inputs of one output. */
interface BlockOfOutput {
  readonly start: number;
  readonly end: number;
  readonly output: number;
}

/** Moves codes and scale of a block, with its own part of `pull` kept up to date here. */
function improveBlock(
  { codes, scales, errors }: Choice,
  { rows: inputs, data: square }: Matrix,
  { pull: { data: pull }, first }: Pull,
  { start, end, output }: BlockOfOutput,
): void {
  const outputs = errors.cols;
  const scaleAt = output * Math.ceil(inputs / BLOCK_SIZE) + start / BLOCK_SIZE;
  const scale = scales[scaleAt]!;
  if (scale === 0) return;
  const own = new Float64Array(end - start);
  for (let i = start; i < end; i++) own[i - start] = pull[(i - first) * outputs + output]!;
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
