import type { StageResult } from "@kvfold/calibration";
import type { Linear } from "@kvfold/decoder";
import {
  add,
  covariance,
  createMatrix,
  fromFloat32,
  identity,
  type Matrix,
  type MatrixProducts,
  type Moments,
  meanOf,
  multiply,
  ridgeSolve,
  secondMoment,
  subtract,
  toFloat32,
  transposeMultiply,
} from "@kvfold/linalg";
import { REFIT, REFIT_TARGET } from "../graph/regression.js";
import type { BiasPolicy } from "../plan/fold-plan.js";

/** Ridge of an input relative to its variance; results hardly move between 1e-4 and 1e-2 (docs/method.md, Healing). */
const RIDGE = 1e-3;

/** The variance of an input relative to its second moment, below which it counts as constant: a mean of 30 000 deviations. */
const LEAST_VARIANCE = 1e-9;

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
  const inputs = moments[REFIT]!;
  const outputs = prior.weight.cols;
  const target = crosses[REFIT_TARGET]!;
  const perToken = (values: Float64Array) => values.map((value) => value / inputs.count);
  const cross = createMatrix(inputs.width, outputs, perToken(target.cross));
  if (prior.offset === undefined) {
    const gram = secondMoment(inputs);
    const lambda = ridgeOf(gram, inputs);
    const weight = await ridgeSolve({ gram, cross, lambda, prior: prior.weight, products });
    return { weight, offset: undefined };
  }
  // A free offset takes the means off both sides: it is what is left of the target's.
  const targetMean = createMatrix(1, outputs, perToken(target.sum));
  const [gram, mean] = [covariance(inputs), meanOf(inputs)];
  const weight = await ridgeSolve({
    products,
    gram,
    cross: subtract(cross, transposeMultiply(mean, targetMean)),
    lambda: ridgeOf(gram, inputs),
    prior: prior.weight,
  });
  return { weight, offset: subtract(targetMean, multiply(mean, weight)) };
}

/**
 * The ridge of each input: a share of its variance. An input that hardly varies about its mean counts as if it varied by
 * `LEAST_VARIANCE`, so that a constant input keeps its weights, as one that is always zero does.
 */
function ridgeOf(gram: Matrix, { width, count, gram: squares }: Moments): Float64Array {
  const diagonal = width + 1;
  return Float64Array.from({ length: width }, (_, index) => {
    const [variance, square] = [gram.data[index * diagonal]!, squares[index * diagonal]! / count];
    return square > 0 ? RIDGE * Math.max(variance, LEAST_VARIANCE * square) : 1;
  });
}
