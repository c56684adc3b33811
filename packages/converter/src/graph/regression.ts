import type { Linear, NormWeights } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import type { CalibrationGraph } from "./calibration-graph.js";
import { emitCross, emitMoments, emitShiftedRows, emitTurnedRows } from "./emit-moments.js";
import { emitNormAim } from "./norm-aim.js";

/** Names of the sums that a refit needs: moments of its inputs, and the cross moment with its target. */
export const REFIT = "inputs";
export const REFIT_TARGET = "target";

type Sums = Omit<CalibrationGraph, "model">;

/** The sums of `emitRegression`, for inputs and targets of these widths. */
export const regressionSums = (inputs: number, outputs: number): Sums => ({
  moments: [{ name: REFIT, size: inputs }],
  crosses: [{ name: REFIT_TARGET, size: outputs, rows: REFIT }],
});

/** Sums for least squares of `target` on `inputs`, each a value and its width. */
export function emitRegression(
  e: Emitter,
  inputs: readonly [value: string, width: number],
  target: readonly [value: string, width: number],
): void {
  const from = emitTurnedRows(e.at(REFIT), REFIT, ...inputs);
  const to = emitShiftedRows(e.at(REFIT_TARGET), REFIT_TARGET, ...target);
  emitMoments(e.at(REFIT), REFIT, from);
  emitCross(e.at(REFIT_TARGET), REFIT_TARGET, from, to);
}

/** How the last projection of a half is refitted. */
export interface ProjectionFit {
  /** Whether it may have an offset. */
  readonly hasOffset: boolean;
}

/** The last projection of a half, and the norm of what it adds. */
export interface LastProjection extends ProjectionFit {
  readonly linear: Linear;
  readonly norm: NormWeights | undefined;
}

/** Inputs of its regression: an offset is an input of its own where a norm follows. */
const fittedInputs = ({ linear, norm, hasOffset }: LastProjection): number =>
  linear.inputs + (norm !== undefined && hasOffset ? 1 : 0);

export const projectionSums = (last: LastProjection): Sums =>
  regressionSums(fittedInputs(last), last.linear.outputs);

/** What a last projection reads, and what the half should add, `[1, S, width]` each. */
interface LastValues {
  readonly inputs: string;
  readonly missing: string;
}

/** The regression of a last projection, so that what is added becomes `missing`. */
export function emitProjectionRegression(e: Emitter, values: LastValues, last: LastProjection): void {
  const { linear, norm } = last;
  const aim =
    norm === undefined
      ? { inputs: values.inputs, target: values.missing }
      : emitThroughNorm(e.at("aim"), values, last, norm);
  emitRegression(e, [aim.inputs, fittedInputs(last)], [aim.target, linear.outputs]);
}

function emitThroughNorm(
  e: Emitter,
  values: LastValues,
  { linear, hasOffset }: LastProjection,
  norm: NormWeights,
): { readonly inputs: string; readonly target: string } {
  const { inputs, target, offset } = emitNormAim(e, values, linear, norm);
  if (!hasOffset) return { inputs, target };
  return { inputs: e.node("Concat", "Concat", [inputs, offset], { attributes: { axis: -1 } }), target };
}
