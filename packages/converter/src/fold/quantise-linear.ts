import { BLOCK_SIZE, type Linear, nearestCode, packRows, quantiseRows, ZERO_CODE } from "@kvfold/decoder";
import { choleskyInPlace, createMatrix, type Matrix, type MatrixProducts, transpose } from "@kvfold/linalg";

/** A projection, and the second moments of what it reads. */
export interface QuantiseInput {
  readonly linear: Linear;
  /** `[K, K]`, `Σ xᵀx` over the calibration tokens, with or without a divisor. */
  readonly gram: Float64Array;
}

/** Share of the mean second moment that is added to each input's, so that inputs the text does not show count as well. */
const DAMPING = 0.01;
/** Inputs whose errors reach the later ones in one product. */
const STEP = 128;

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

/**
 * Each weight to the code that is nearest to it and to what the errors before it make of it. `square` are the damped second
 * moments.
 */
export async function roundInTurn(
  linear: Linear,
  scales: Float32Array,
  square: Float64Array,
  products: MatrixProducts,
): Promise<Choice> {
  const order = fallingOrder(square, linear.inputs);
  const grid: Grid = {
    weights: inOrder(linear, order),
    scales,
    order,
    blocks: Math.ceil(linear.inputs / BLOCK_SIZE),
  };
  return inNaturalOrder(await roundRows(grid, await feedbackOf(square, order, products), products), grid);
}

/** Weights in the order in which they are rounded, `[K, N]`, and the scale of each. */
interface Grid {
  readonly weights: Matrix;
  /** `[N, blocks]`. */
  readonly scales: Float32Array;
  /** `order[i]` is the input that is rounded as number `i`. */
  readonly order: Uint32Array;
  readonly blocks: number;
}

/** `[K, N]` each, in the order of the grid. */
interface Rounded {
  readonly codes: Uint8Array;
  /** Weights less what their codes stand for. */
  readonly errors: Matrix;
}

/** Inputs by falling second moment; equal ones stay in their order. */
export function fallingOrder(gram: Float64Array, size: number): Uint32Array {
  const moment = (input: number) => gram[input * (size + 1)]!;
  return Uint32Array.from({ length: size }, (_, input) => input).sort(
    (a, b) => moment(b) - moment(a) || a - b,
  );
}

function inOrder({ inputs, outputs, weight }: Linear, order: Uint32Array): Matrix {
  const rows = createMatrix(inputs, outputs);
  for (const [place, input] of order.entries())
    rows.data.set(weight.subarray(input * outputs, (input + 1) * outputs), place * outputs);
  return rows;
}

function permuted(gram: Float64Array, order: Uint32Array): Matrix {
  const size = order.length;
  const square = createMatrix(size, size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) square.data[i * size + j] = gram[order[i]! * size + order[j]!]!;
  return square;
}

const emptyRounded = ({ weights: { rows, cols } }: Grid) => ({
  codes: new Uint8Array(rows * cols),
  errors: createMatrix(rows, cols),
});

/** Rounds row `place` of the grid, whose weights are to become `wanted`. */
function roundRow(grid: Grid, place: number, wanted: Float64Array, { codes, errors }: Rounded): void {
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
interface Choice {
  /** `[K, N]`. */
  readonly codes: Uint8Array;
  /** `[N, blocks]`. */
  readonly scales: Float32Array;
  /** `[K, N]`. */
  readonly errors: Matrix;
}

/** Every weight to the code that is nearest to it. */
function nearestCodes({ inputs, outputs, weight }: Linear, scales: Float32Array): Choice {
  const order = Uint32Array.from({ length: inputs }, (_, input) => input);
  const weights = createMatrix(inputs, outputs, Float64Array.from(weight));
  const grid: Grid = { weights, scales, order, blocks: Math.ceil(inputs / BLOCK_SIZE) };
  const rounded = emptyRounded(grid);
  for (let input = 0; input < inputs; input++)
    roundRow(grid, input, weights.data.subarray(input * outputs, (input + 1) * outputs), rounded);
  return { ...rounded, scales };
}

function inNaturalOrder({ codes, errors }: Rounded, { order, scales }: Grid): Choice {
  const outputs = errors.cols;
  const moved = { codes: new Uint8Array(codes.length), errors: createMatrix(errors.rows, outputs) };
  for (const [place, input] of order.entries()) {
    const [from, to] = [place * outputs, input * outputs];
    moved.codes.set(codes.subarray(from, from + outputs), to);
    moved.errors.data.set(errors.data.subarray(from, from + outputs), to);
  }
  return { ...moved, scales: scales.slice() };
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

/**
 * How the error at one place is taken up at later ones: `F [K, K]` with `F_ij` for `i < j` from the factor `H = R Rᵀ` of
 * the damped second moments in order, `R` upper triangular, each column divided by its diagonal.
 */
async function feedbackOf(
  damped: Float64Array,
  order: Uint32Array,
  products: MatrixProducts,
): Promise<Matrix> {
  const size = order.length;
  // From the last place to the first, the upper factor becomes Cholesky's lower one.
  const square = permuted(damped, order.toReversed());
  await choleskyInPlace(square, products);
  const feedback = createMatrix(size, size);
  for (let j = 0; j < size; j++) {
    const last = size - 1 - j;
    const pivot = square.data[last * (size + 1)]!;
    for (let i = 0; i < j; i++)
      feedback.data[i * size + j] = square.data[(size - 1 - i) * size + last]! / pivot;
  }
  return feedback;
}

/** Rounds row after row of the grid. */
async function roundRows(grid: Grid, feedback: Matrix, products: MatrixProducts): Promise<Rounded> {
  const { rows: size, cols: outputs, data } = grid.weights;
  const rounded = emptyRounded(grid);
  const { errors } = rounded;
  for (let start = 0; start < size; start += STEP) {
    const end = Math.min(start + STEP, size);
    const wanted = data.slice(start * outputs, end * outputs);
    if (start > 0) addTo(wanted, await earlierErrors(errors, feedback, start, end, products));
    for (let place = start; place < end; place++) {
      const row = wanted.subarray((place - start) * outputs, (place - start + 1) * outputs);
      for (let from = start; from < place; from++) {
        const factor = feedback.data[from * size + place]!;
        const at = from * outputs;
        for (let output = 0; output < outputs; output++) row[output]! += factor * errors.data[at + output]!;
      }
      roundRow(grid, place, row, rounded);
    }
  }
  return rounded;
}

/** What the errors before `start` make of places `[start, end)`: `[end - start, N]`. */
function earlierErrors(
  errors: Matrix,
  feedback: Matrix,
  start: number,
  end: number,
  products: MatrixProducts,
): Promise<Matrix> {
  const outputs = errors.cols;
  const part = createMatrix(start, end - start);
  for (let row = 0; row < start; row++) {
    const at = row * feedback.cols;
    part.data.set(feedback.data.subarray(at + start, at + end), row * part.cols);
  }
  const before = createMatrix(start, outputs, errors.data.subarray(0, start * outputs));
  return products.transposeMultiply(part, before);
}

function addTo(target: Float64Array, { data }: Matrix): void {
  for (let at = 0; at < target.length; at++) target[at]! += data[at]!;
}

/** Times that all codes and scales are looked at again. */
const PASSES = 3;

/**
 * Looks at one block of inputs after the other and moves each of its codes, then its scales, to where the output's squared
 * error is least with all others as they are; so the error never grows. In place.
 */
async function descend(choice: Choice, square: Matrix, products: MatrixProducts): Promise<void> {
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
