import type { AttentionWeights, KeyExpansion } from "../model/decoder-weights.js";
import { emitRotation } from "./emit-rotation.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";

/**
 * Cached latents `[B, keys.heads, T, keys.size]` to rotated keys `[B, Hkv, T, d]`: the whole cache is expanded and
 * rotated at every step, since a basis that mixes frequencies cannot stand behind the rotation's inverse.
 */
export function emitExpandedKeys(
  e: Emitter,
  latents: string,
  { headDim, keys }: Pick<AttentionWeights, "headDim" | "keys">,
  { heads, decode }: KeyExpansion,
  { rope, keyPositionIds }: Positions,
): string {
  const span = heads / keys.heads;
  const width = span * headDim;
  const matrices = e.floats("decode", [decode.length / (keys.size * width), keys.size, width], decode);
  const groups = e.node("MatMul", "MatMul", [latents, matrices]);
  const split = span === 1 ? groups : emitSplitGroups(e.at("split"), groups, keys.heads, span, headDim);
  return emitRotation(e.at("rotary"), split, { rope, positionIds: keyPositionIds() });
}

/** `[B, groups, T, span * size]` to `[B, groups * span, T, size]`. */
function emitSplitGroups(e: Emitter, x: string, groups: number, span: number, size: number): string {
  const split = e.reshape("Reshape", x, [0, groups, -1, span, size]);
  return e.reshape("join/Reshape", e.transpose("Transpose", split, [0, 1, 3, 2, 4]), [
    0,
    groups * span,
    -1,
    size,
  ]);
}
