import { BLOCK_SIZE, type Linear, packRows, quantiseRows, ZERO_CODE } from "@kvfold/decoder";
import { createMatrix, type Matrix, type MatrixProducts, transpose } from "@kvfold/linalg";
import { descend } from "./descend.js";
import { roundInTurn } from "./round-in-turn.js";
import { type Choice, nearestCodes } from "./rounding-grid.js";

/** A projection, and the second moments of what it reads. */
export interface QuantiseInput {
  readonly linear: Linear;
  /** `[K, K]`, `Σ xᵀx` over the calibration tokens, with or without a divisor. */
  readonly gram: Float64Array;
}

/** Share of the mean second moment that is added to each input's, so that inputs the text does not show count as well. */
const DAMPING = 0.01;
/**
 * Rounds a projection to four bits so that its outputs change little: weights of one input after the other, in order of
 * falling second moments, and each takes up what the errors before it do to the output (GPTQ: Frantar et al., 2210.17323,
 * with its act-order and static groups; in this form Babai's nearest plane), on the scales of nearest rounding. Then codes and
 * scales are moved to where the error is least, a block at a time.
 *
 * Numerics: float64. The output's squared error `tr((W - Q)ᵀ H (W - Q))` is at most that of nearest rounding, for every
 * output by itself: where it would not be, the nearest codes are kept. Without any second moments they are kept, too.
 *
 * @returns The projection with the rounded weights as numbers and as codes.
 */
export async function quantiseLinear(
  { linear, gram }: QuantiseInput,
  products: MatrixProducts,
): Promise<Linear> {
  const { inputs, outputs } = linear;
  const rows = transpose(createMatrix(inputs, outputs, Float64Array.from(linear.weight)));
  const { scales } = quantiseRows(Float32Array.from(rows.data), outputs, inputs);
  const square = damped(createMatrix(inputs, inputs, gram));
  if (square === undefined) return withCodes(linear, nearestCodes(linear, scales));
  const choice = await roundInTurn(linear, scales, square.data, products);
  await descend(choice, square, products);
  return withCodes(linear, await betterOf(choice, nearestCodes(linear, scales), gram, products));
}

/** Second moments with a share of their mean added to each; `undefined` where all are zero. */
function damped({ rows: size, data }: Matrix): Matrix | undefined {
  let total = 0;
  for (let input = 0; input < size; input++) total += data[input * (size + 1)]!;
  if (total === 0) return undefined;
  const square = createMatrix(size, size, data.slice());
  for (let input = 0; input < size; input++) square.data[input * (size + 1)]! += (DAMPING * total) / size;
  return square;
}

/** For each output the choice that has the smaller error. */
async function betterOf(
  first: Choice,
  second: Choice,
  gram: Float64Array,
  products: MatrixProducts,
): Promise<Choice> {
  const { rows: inputs, cols: outputs } = first.errors;
  const square = createMatrix(inputs, inputs, gram);
  const [a, b] = [await errorsOf(square, first, products), await errorsOf(square, second, products)];
  const isFirst = (output: number) => a[output]! <= b[output]!;
  const blocks = first.scales.length / outputs;
  return {
    errors: first.errors,
    codes: first.codes.map((code, at) => (isFirst(at % outputs) ? code : second.codes[at]!)),
    scales: first.scales.map((scale, at) => (isFirst(Math.floor(at / blocks)) ? scale : second.scales[at]!)),
  };
}

/** `eᵀ H e` of every output's errors `e`. */
async function errorsOf(square: Matrix, { errors }: Choice, products: MatrixProducts): Promise<Float64Array> {
  const { data } = await products.multiply(square, errors);
  const sums = new Float64Array(errors.cols);
  for (let at = 0; at < data.length; at++) sums[at % errors.cols]! += data[at]! * errors.data[at]!;
  return sums;
}

/** The projection with its weights as codes and as the numbers that they stand for. */
function withCodes(linear: Linear, { codes, scales }: Choice): Linear {
  const { inputs, outputs } = linear;
  const blocks = Math.ceil(inputs / BLOCK_SIZE);
  const weight = new Float32Array(inputs * outputs);
  const byOutput = new Uint8Array(inputs * outputs);
  for (let at = 0; at < codes.length; at++) {
    const [input, output] = [Math.floor(at / outputs), at % outputs];
    byOutput[output * inputs + input] = codes[at]!;
    weight[at] = (codes[at]! - ZERO_CODE) * scales[output * blocks + Math.floor(input / BLOCK_SIZE)]!;
  }
  return { ...linear, weight, fourBit: packRows(byOutput, scales, outputs, inputs) };
}
