import type { Emitter } from "./emitter.js";

/**
 * int64 `[B, T]`: where each key stands among the real tokens of its sequence, 0 for padding, from the attention mask
 * `[B, T]`: `(cumsum(mask) - 1) * mask`. It is what Hugging Face and transformers.js make `position_ids` of, so keys
 * that are rotated late stand where they would have been rotated on their way in.
 */
export function emitKeyPositions(e: Emitter, attentionMask: string): string {
  const counted = e.node("CumSum", "CumSum", [attentionMask, e.graph.int64([1], [])]);
  const position = e.node("Sub", "Sub", [counted, e.graph.int64([1], [])]);
  return e.node("Mul", "position/Mul", [position, attentionMask]);
}
