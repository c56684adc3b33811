import type { CacheCoding } from "@kvfold/runtime";
import type { Emitter } from "../emitter.js";
import type { Coded } from "./emit-eight-bits.js";
import { emitRowSteps } from "./emit-row-steps.js";

/**
 * Rows `[.., S, n]`, float32, in four bits, two numbers a byte. Codes stand for the middles of 16 equal steps; the largest
 * number of a row lies at the outer edge of its step.
 */
export function emitFourBits(e: Emitter, numbers: string, coding: CacheCoding): Coded {
  const { zeroPoint } = coding;
  const float = (value: number) => e.scalar(value, "float32");
  const { steps, scales } = emitRowSteps(e, numbers, coding);
  const shifted = e.node("Add", "Add", [
    e.node("Mul", "sixteenths/Mul", [steps, float(1 / 16)]),
    float(zeroPoint / 16),
  ]);
  const code = e.node("Clip", "Clip", [e.node("Round", "Round", [shifted]), float(0), float(15)]);
  const unpacked = e.node("Mul", "unpacked/Mul", [code, float(16)]);
  const centred = e.node("Sub", "centred/Sub", [unpacked, float(zeroPoint)]);
  return { centred, bytes: emitPairs(e.at("pairs"), code), scales };
}

/** Codes from 0 to 15 as bytes: the first half of a row in the lower halves of its bytes. */
function emitPairs(e: Emitter, code: string): string {
  const names = ["low", "high"].map((half) => `${e.path}/${half}/output_0`);
  const [low, high] = e.graph.nodeWithOutputs("Split", [code], names, {
    name: `${e.path}/Split`,
    attributes: { axis: -1, num_outputs: 2 },
  });
  const raised = e.node("Mul", "high/Mul", [high!, e.scalar(16, "float32")]);
  return e.cast("Cast", e.node("Add", "Add", [raised, low!]), "uint8");
}
