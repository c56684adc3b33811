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
    /** Whether the rotation has a row of positions for each head, not for each sequence. */
    readonly apart?: boolean;
  }
}

/**
 * Cached latents `[B, heads, T, size]` to rotated keys `[B, Hkv, T, d]`: all tokens that attention sees are expanded and
 * rotated, since a basis that mixes frequencies cannot stand after the rotation's inverse.
 */
export function emitExpandedKeys(
  e: Emitter,
  latents: string,
  weights: AttentionWeights,
  { latent, decode, rotation, apart = false }: emitExpandedKeys.Options,
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
      : apart
        ? emitApart(e.at("rotary"), keys, shape, (at, rows) =>
            emitRotation(at, rows, { rotation, rope, shape: { heads: 1, size: headDim } }),
          )
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

/** Turns `[B, heads, T, d]` as that many sequences `[B * heads, 1, T, d]`. */
function emitApart(
  e: Emitter,
  keys: string,
  { heads, size }: CacheShape,
  turn: (e: Emitter, rows: string) => string,
): string {
  const total = e.node("Shape", "total/Shape", [keys], { attributes: { start: 2, end: 3 } });
  const shape = e.node("Concat", "shape/Concat", [e.graph.int64([-1, 1]), total, e.graph.int64([size])], {
    attributes: { axis: 0 },
  });
  const turned = turn(e, e.node("Reshape", "apart/Reshape", [keys, shape]));
  return e.reshape("together/Reshape", turned, [1, heads, -1, size]);
}
