import { type CacheCoding, SMALLEST_SCALE } from "@kvfold/runtime";
import type { Emitter } from "../emitter.js";

/** Numbers as codes. */
export interface Coded {
  /** Unpacked codes less their zero point, float32 as the numbers. */
  readonly centred: string;
  /** uint8, as they are cached. */
  readonly bytes: string;
  /** float16, one for each row. */
  readonly scales: string;
}

/** Rows `[.., S, n]`, float32, in eight bits: the largest number of a row takes the largest code. */
export function emitEightBits(e: Emitter, numbers: string, { largest, zeroPoint }: CacheCoding): Coded {
  const most = e.node("ReduceMax", "ReduceMax", [e.node("Abs", "Abs", [numbers]), e.graph.int64([-1])]);
  const exact = e.node("Mul", "scales/Mul", [most, e.scalar(1 / largest, "float32")]);
  const raised = e.node("Max", "scales/Max", [exact, e.scalar(SMALLEST_SCALE, "float32")]);
  const scales = e.cast("scales/Cast", raised, "float16");
  const steps = e.node("Div", "Div", [numbers, e.cast("scales/back/Cast", scales, "float32")]);
  const centred = e.node("Round", "Round", [steps]);
  const code = e.node("Add", "Add", [centred, e.scalar(zeroPoint, "float32")]);
  return { centred, bytes: e.cast("bytes/Cast", code, "uint8"), scales };
}
