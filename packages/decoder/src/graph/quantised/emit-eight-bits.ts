import type { CacheCoding } from "@kvfold/runtime";
import type { Emitter } from "../emitter.js";
import { emitRowSteps } from "./emit-row-steps.js";

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
export function emitEightBits(e: Emitter, numbers: string, coding: CacheCoding): Coded {
  const { steps, scales } = emitRowSteps(e, numbers, coding);
  const centred = e.node("Round", "Round", [steps]);
  const code = e.node("Add", "Add", [centred, e.scalar(coding.zeroPoint, "float32")]);
  return { centred, bytes: e.cast("bytes/Cast", code, "uint8"), scales };
}
