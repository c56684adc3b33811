import type { Emitter, FloatType } from "./emitter.js";

/** `cap * tanh(x / cap)`: keeps scores or logits within `±cap`. */
export function emitSoftCap(e: Emitter, x: string, cap: number, type: FloatType = e.floatType): string {
  const scaled = e.node("Mul", "soft_cap/scale/Mul", [x, e.scalar(1 / cap, type)]);
  const bounded = e.node("Tanh", "soft_cap/Tanh", [scaled]);
  return e.node("Mul", "soft_cap/Mul", [bounded, e.scalar(cap, type)]);
}
