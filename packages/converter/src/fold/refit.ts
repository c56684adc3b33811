import type { StageResult } from "@kvfold/calibration";
import type { Linear } from "@kvfold/decoder";
import {
  add,
  createMatrix,
  fromFloat32,
  identity,
  type Matrix,
  type MatrixProducts,
  multiply,
  ridgeSolveAsync,
  slice,
  stackRows,
  toFloat32,
  trace,
} from "@kvfold/linalg";
import { REFIT, REFIT_TARGET } from "../graph/regression.js";
import type { BiasPolicy } from "../plan/fold-plan.js";

/**
 * Ridge weight relative to the mean of the inputs' second moment; results hardly move between 1e-4 and 1e-2
 * (docs/method.md, Healing).
 */
const RIDGE = 1e-3;

/** Sums over the calibration windows (`healing-graphs.ts`), and whether the result may have a bias. */
interface RefitInput {
  readonly sums: StageResult;
  readonly bias: BiasPolicy;
}

/** A projection to refit. */
export interface RefitLinearInput extends RefitInput {
  readonly linear: Linear;
}

/** Projections that read the same inputs. */
export interface RefitInputsInput extends RefitInput {
  readonly linears: readonly Linear[];
}

/**
 * Refits a projection by least squares: `min Σ |z W + b - target|^2` with a ridge that draws towards the present
 * weights, so that directions the data does not show stay as they are (docs/method.md, Healing).
 *
 * Numerics: sums of float32 products in float64; the ridge keeps the system positive definite.
 */
export async function refitLinear(
  { linear, sums, bias }: RefitLinearInput,
  products: MatrixProducts,
): Promise<Linear> {
  const { weight, offset } = affine(linear);
  const fit = await regress(sums, { weight, offset: bias === "free" ? offset : undefined }, products);
  const refitted = { ...linear, weight: toFloat32(fit.weight) };
  return fit.offset === undefined ? refitted : { ...refitted, bias: toFloat32(fit.offset) };
}

/**
 * Corrects what projections read in common: the inputs `z` of the folded model go to the best affine guess `z A + a` of
 * the original's, drawn to `z` itself, and the projections take it in: `W' = A W`, `b' = b + a W`.
 */
export async function refitInputs(
  { linears, sums, bias }: RefitInputsInput,
  products: MatrixProducts,
): Promise<readonly Linear[]> {
  const width = linears[0]!.inputs;
  const offset = bias === "free" ? createMatrix(1, width) : undefined;
  const guess = await regress(sums, { weight: identity(width), offset }, products);
  const moved: Linear[] = [];
  for (const linear of linears) moved.push(await behind(guess, linear, products));
  return moved;
}

/** `z W + b`; without an offset there is none, and none may be made. */
interface Affine {
  readonly weight: Matrix;
  readonly offset: Matrix | undefined;
}

const affine = ({ inputs, outputs, weight, bias }: Linear) => ({
  weight: fromFloat32(inputs, outputs, weight),
  offset: fromFloat32(1, outputs, bias ?? new Float32Array(outputs)),
});

async function behind({ weight, offset }: Affine, linear: Linear, products: MatrixProducts): Promise<Linear> {
  const own = affine(linear);
  const moved = { ...linear, weight: toFloat32(await products.multiply(weight, own.weight)) };
  if (offset === undefined) return moved;
  return { ...moved, bias: toFloat32(add(own.offset, multiply(offset, own.weight))) };
}

/** The ridge regression of a target on inputs, drawn to `prior`. */
async function regress(
  { moments, crosses }: StageResult,
  prior: Affine,
  products: MatrixProducts,
): Promise<Affine> {
  const { width, count, gram: squares, sum } = moments[REFIT]!;
  const outputs = prior.weight.cols;
  const gram = createMatrix(width, width, squares);
  const target = crosses[REFIT_TARGET]!;
  const cross = createMatrix(width, outputs, target.cross);
  const lambda = (RIDGE * trace(gram)) / width;
  if (prior.offset === undefined)
    return {
      weight: await ridgeSolveAsync({ gram, cross, lambda, prior: prior.weight, products }),
      offset: undefined,
    };
  const solution = await ridgeSolveAsync({
    products,
    gram: bordered(gram, sum, count),
    cross: stackRows([cross, createMatrix(1, outputs, target.sum)]),
    lambda,
    prior: stackRows([prior.weight, prior.offset]),
  });
  return {
    weight: slice(solution, { rows: [0, width] }),
    offset: slice(solution, { rows: [width, width + 1] }),
  };
}

/** `[[G, s], [sᵀ, n]]`: the gram of the inputs with a constant 1 appended. */
function bordered({ rows, data }: Matrix, sum: Float64Array, count: number): Matrix {
  const size = rows + 1;
  const result = new Float64Array(size * size);
  for (let row = 0; row < rows; row++) {
    result.set(data.subarray(row * rows, (row + 1) * rows), row * size);
    result[row * size + rows] = sum[row]!;
  }
  result.set(sum, rows * size);
  result[size * size - 1] = count;
  return createMatrix(size, size, result);
}
