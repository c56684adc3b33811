import type { AttentionWeights, KeyExpansion } from "../model/decoder-weights.js";
import { emitHeadNorm } from "./emit-norm.js";
import { emitRotation } from "./emit-rotation.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";
import { emitJoinHeads, emitSplitHeads } from "./split-heads.js";

/**
 * Cached latents `[B, keys.heads, T, keys.size]` to rotated keys `[B, Hkv, T, d]`: the whole cache is expanded and
 * rotated at every step, since a basis that mixes frequencies cannot stand behind the rotation's inverse.
 */
export function emitExpandedKeys(
  e: Emitter,
  latents: string,
  weights: AttentionWeights,
  { decode }: KeyExpansion,
  positions: Positions,
): string {
  const { headDim, keys, kvHeads, rope } = weights;
  const shape = { heads: kvHeads, size: headDim };
  const span = kvHeads / keys.heads;
  const width = span * headDim;
  const matrices = e.floats("decode", [decode.length / (keys.size * width), keys.size, width], decode);
  const groups = e.node("MatMul", "MatMul", [latents, matrices]);
  const split = span === 1 ? groups : emitSplitGroups(e.at("split"), groups, keys.heads, span, headDim);
  const rotation = positions.rotation(rope!, "all");
  const rotated = emitRotation(e.at("rotary"), split, { rotation, rope: rope!, shape });
  return emitNormOfHeads(e.at("norm"), rotated, weights);
}

/** Where keys are normalised after the rotation, so are the expanded ones. */
function emitNormOfHeads(
  e: Emitter,
  keys: string,
  { headNorm, keyNorm, kvHeads, headDim }: AttentionWeights,
): string {
  if (headNorm !== "after-rotation" || keyNorm === undefined) return keys;
  const shape = { heads: kvHeads, size: headDim };
  const joined = emitJoinHeads(e.at("join"), keys, kvHeads * headDim);
  return emitSplitHeads(e.at("split"), emitHeadNorm(e, joined, keyNorm, shape), shape);
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
