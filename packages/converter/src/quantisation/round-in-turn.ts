import { BLOCK_SIZE, type Linear } from "@kvfold/decoder";
import { choleskyInPlace, createMatrix, type Matrix, type MatrixProducts } from "@kvfold/linalg";
import { addTo, type Choice, emptyRounded, type Grid, type Rounded, roundRow } from "./rounding-grid.js";

/** Inputs whose errors reach the later ones in one product. */
const STEP = 128;

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
