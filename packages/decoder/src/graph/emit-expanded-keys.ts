import type { AttentionWeights, CacheShape } from "../model/decoder-weights.js";
import { emitHeadNorm } from "./emit-norm.js";
import { emitRotation } from "./emit-rotation.js";
import type { Emitter } from "./emitter.js";
import type { Rotation } from "./rotation.js";
import { emitJoinHeads, emitSplitGroups, emitSplitHeads } from "./split-heads.js";

export declare namespace emitExpandedKeys {
  interface Options {
    /** Latents of a token. */
    readonly latent: CacheShape;
    /** `[heads, size, s * d]` of the latents, or without heads where all of the layer decode alike. */
    readonly decode: string;
    /** What turns the expanded keys; absent where nothing turns. */
    readonly rotation: Rotation | undefined;
  }
}

/**
 * Cached latents `[B, heads, T, size]` to rotated keys `[B, Hkv, T, d]`: all tokens that attention sees are expanded and
 * rotated, since a basis that mixes frequencies cannot stand behind the rotation's inverse.
 */
export function emitExpandedKeys(
  e: Emitter,
  latents: string,
  weights: AttentionWeights,
  { latent, decode, rotation }: emitExpandedKeys.Options,
): string {
  const { headDim, kvHeads, rope } = weights;
  const shape = { heads: kvHeads, size: headDim };
  const span = kvHeads / latent.heads;
  const group = { heads: latent.heads, size: span * headDim };
  const groups = e.node("MatMul", "MatMul", [latents, decode]);
  const keys = emitSplitGroups(e.at("split"), groups, group, span);
  const rotated =
    rope === undefined || rotation === undefined
      ? keys
      : emitRotation(e.at("rotary"), keys, { rotation, rope, shape });
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
