import type { StageResult } from "@kvfold/calibration";
import {
  createMatrix,
  fromFloat32,
  type Matrix,
  ridgeSolve,
  stackRows,
  toFloat32,
  trace,
} from "@kvfold/linalg";
import { REFIT, REFIT_CROSS, REFIT_TARGET } from "../graph/calibration-graphs.js";
import type { Linear } from "../model/decoder-weights.js";
import type { BiasPolicy } from "../plan/fold-plan.js";

/**
 * Ridge weight relative to the mean of the inputs' second moment; results hardly move between 1e-4 and 1e-2
 * (docs/method.md, Healing).
 */
const RIDGE = 1e-3;

/**
 * Refits a projection by least squares: `min Σ |z W + b - target|^2` with a ridge that draws towards the present
 * weights, so that directions the data does not show stay as they are (docs/method.md, Healing).
 *
 * Numerics: sums of float32 products in float64; the ridge keeps the system positive definite.
 */
export function refitLinear(linear: Linear, { moments, sums }: StageResult, bias: BiasPolicy): Linear {
  const inputs = moments[REFIT]!;
  const { width, count } = inputs;
  const cross = createMatrix(width, linear.outputs, sums[REFIT_CROSS]!);
  const target = createMatrix(1, linear.outputs, sums[REFIT_TARGET]!);
  const gram = createMatrix(width, width, inputs.gram);
  const lambda = (RIDGE * trace(gram)) / width;
  const weight = fromFloat32(width, linear.outputs, linear.weight);
  if (bias === "none")
    return { ...linear, weight: toFloat32(ridgeSolve({ gram, cross, lambda, prior: weight })) };
  const prior = stackRows([
    weight,
    fromFloat32(1, linear.outputs, linear.bias ?? new Float32Array(linear.outputs)),
  ]);
  const solution = ridgeSolve({
    gram: bordered(gram, inputs.sum, count),
    cross: stackRows([cross, target]),
    lambda,
    prior,
  });
  return splitBias(linear, solution);
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

function splitBias(linear: Linear, solution: Matrix): Linear {
  const values = toFloat32(solution);
  const split = linear.inputs * linear.outputs;
  return { ...linear, weight: values.slice(0, split), bias: values.slice(split) };
}
