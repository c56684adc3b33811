import { type CacheCoding, SMALLEST_SCALE } from "@kvfold/runtime";
import type { Emitter } from "../emitter.js";

/** Rows in units of a scale that each row has. */
export interface RowSteps {
  /** Float32, at most `largest` of the coding but for the rounding of the scale. */
  readonly steps: string;
  /** float16, one for each row. */
  readonly scales: string;
}

/** Rows `[.., S, n]`, float32, divided by scales that follow from the largest number of each. */
export function emitRowSteps(e: Emitter, numbers: string, { largest }: CacheCoding): RowSteps {
  const most = e.node("ReduceMax", "ReduceMax", [e.node("Abs", "Abs", [numbers]), e.graph.int64([-1])]);
  const exact = e.node("Mul", "scales/Mul", [most, e.scalar(1 / largest, "float32")]);
  const raised = e.node("Max", "scales/Max", [exact, e.scalar(SMALLEST_SCALE, "float32")]);
  const scales = e.cast("scales/Cast", raised, "float16");
  const steps = e.node("Div", "Div", [numbers, e.cast("scales/back/Cast", scales, "float32")]);
  return { steps, scales };
}
