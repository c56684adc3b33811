import type { StageResult } from "@kvfold/calibration";
import type { Linear } from "@kvfold/decoder";
import {
  createMatrix,
  type Matrix,
  type MatrixProducts,
  type Moments,
  meanOf,
  multiply,
  ridgeSolveInPlace,
  subtract,
  toFloat32,
} from "@kvfold/linalg";
import { REFIT, REFIT_TARGET } from "../graph/regression.js";
import type { BiasPolicy } from "../plan/fold-plan.js";
import { columns } from "./group.js";

/** Ridge of an input relative to its variance; results hardly move between 1e-4 and 1e-2 (docs/method.md, Healing). */
const RIDGE = 1e-3;

/** The variance of an input relative to its second moment, below which it counts as constant: a mean of 30 000 deviations. */
const LEAST_VARIANCE = 1e-9;

/** Sums over the calibration windows (`healing-graphs.ts`), which the refit overwrites, and whether the result may have a bias. */
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
  const { weight, outputs } = linear;
  const prior: Prior = {
    outputs,
    addTo({ data }, ridge) {
      for (const [row, factor] of ridge.entries())
        for (let at = row * outputs; at < (row + 1) * outputs; at++) data[at]! += factor * weight[at]!;
    },
  };
  const fit = await regress(sums, prior, bias, products);
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
  const identity: Prior = {
    outputs: width,
    addTo({ data }, ridge) {
      for (const [row, factor] of ridge.entries()) data[row * (width + 1)]! += factor;
    },
  };
  const guess = await regress(sums, identity, bias, products);
  const moved: Linear[] = [];
  for (const linear of linears) moved.push(await absorb(guess, linear, products));
  return moved;
}

/** `z W + b`; without an offset there is none, and none may be made. */
interface Affine {
  readonly weight: Matrix;
  readonly offset: Matrix | undefined;
}

/** What a regression is drawn to, `[inputs, outputs]`: a matrix that need not be there in float64. */
interface Prior {
  readonly outputs: number;
  /** Adds its rows to those of a matrix, each times its ridge. */
  readonly addTo: (target: Matrix, ridge: Float64Array) => void;
}

/** Outputs of a projection that are moved at once: in float64 all of them take twice the memory of the weights, and a product as much. */
const MOVED_OUTPUTS = 512;

/** The projection that takes a guess in: `W' = A W`, `b' = b + a W`. */
async function absorb(guess: Affine, linear: Linear, products: MatrixProducts): Promise<Linear> {
  const { inputs, outputs, bias } = linear;
  const weight = new Float32Array(inputs * outputs);
  const offsets = guess.offset && (bias?.slice() ?? new Float32Array(outputs));
  for (let start = 0; start < outputs; start += MOVED_OUTPUTS) {
    const end = Math.min(start + MOVED_OUTPUTS, outputs);
    const own = columns(linear, start, end);
    const { cols, data } = await products.multiply(guess.weight, own);
    for (let row = 0; row < inputs; row++)
      weight.set(data.subarray(row * cols, (row + 1) * cols), row * outputs + start);
    if (guess.offset === undefined) continue;
    const added = multiply(guess.offset, own).data;
    for (let at = start; at < end; at++) offsets![at]! += added[at - start]!;
  }
  return offsets === undefined ? { ...linear, weight } : { ...linear, weight, bias: offsets };
}

/**
 * The ridge regression of a target on inputs, drawn to `prior`. The sums are overwritten: of an MLP with 8192 inputs, the
 * squares alone take half a gigabyte.
 */
async function regress(
  { moments, crosses }: StageResult,
  prior: Prior,
  bias: BiasPolicy,
  products: MatrixProducts,
): Promise<Affine> {
  const inputs = moments[REFIT]!;
  const { outputs } = prior;
  const target = crosses[REFIT_TARGET]!;
  const squares = diagonalOf(inputs.gram, inputs.width);
  const gram = perToken(createMatrix(inputs.width, inputs.width, inputs.gram), inputs.count);
  const cross = perToken(createMatrix(inputs.width, outputs, target.cross), inputs.count);
  const solve = () => {
    const lambda = ridgeOf(gram, squares, inputs);
    prior.addTo(cross, lambda);
    return ridgeSolveInPlace({ gram, cross, lambda, products });
  };
  if (bias === "none") return { weight: await solve(), offset: undefined };
  // A free offset takes the means off both sides: it is what is left of the target's.
  const mean = meanOf(inputs);
  const targetMean = perToken(createMatrix(1, outputs, target.sum), inputs.count);
  takeOff(gram, mean, mean);
  takeOff(cross, mean, targetMean);
  const weight = await solve();
  return { weight, offset: subtract(targetMean, multiply(mean, weight)) };
}

const diagonalOf = (square: Float64Array, width: number): Float64Array =>
  Float64Array.from({ length: width }, (_, index) => square[index * (width + 1)]!);

/** Divides sums by the number of tokens, in place. */
function perToken(sums: Matrix, tokens: number): Matrix {
  for (let at = 0; at < sums.data.length; at++) sums.data[at]! /= tokens;
  return sums;
}

/** Takes the outer product of two rows off a matrix, in place: of a second moment, what the means make of it. */
function takeOff({ cols, data }: Matrix, { data: left }: Matrix, { data: right }: Matrix): void {
  for (const [row, value] of left.entries())
    for (let column = 0; column < cols; column++) data[row * cols + column]! -= value * right[column]!;
}

/**
 * The ridge of each input: a share of its variance. An input that hardly varies about its mean counts as if it varied by
 * `LEAST_VARIANCE`, so that a constant input keeps its weights, as one that is always zero does.
 */
function ridgeOf(gram: Matrix, squares: Float64Array, { width, count }: Moments): Float64Array {
  const variances = diagonalOf(gram.data, width);
  return Float64Array.from({ length: width }, (_, index) => {
    const [variance, square] = [variances[index]!, squares[index]! / count];
    return square > 0 ? RIDGE * Math.max(variance, LEAST_VARIANCE * square) : 1;
  });
}
