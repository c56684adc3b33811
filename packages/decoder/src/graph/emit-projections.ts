import type { AttentionWeights, CacheShape, HeadNormWeights, Linear } from "../model/decoder-weights.js";
import type { ProjectionValues } from "./attention-values.js";
import { emitKeyEncoding, emitQueryBasis } from "./emit-basis.js";
import { emitLinear } from "./emit-linear.js";
import { emitHeadNorm } from "./emit-norm.js";
import { emitRotation } from "./emit-rotation.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";
import type { Rotation } from "./rotation.js";

/**
 * Queries, keys and values: normalised and rotated where the layer does so, in its order. Keys that are expanded at each
 * use are rotated then.
 */
export function emitProjections(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  positions: Positions,
): ProjectionValues {
  const { rope, expanded, value } = weights;
  // Keys that are rotated late are rotated by their places among the cached tokens, and so are their queries.
  const rotation = rope && (expanded ? positions.relativeRotation(rope, "new") : positions.rotation(rope));
  const queriesBeforeRope = emitUnturnedQueries(e, x, weights);
  const keysBeforeRope = emitUnturnedKeys(e, x, weights);
  return {
    queries: emitTurnedQueries(e, queriesBeforeRope, weights, rotation),
    queriesBeforeRope,
    keys: expanded ? keysBeforeRope : emitTurned(e, keysBeforeRope, keySide(weights), weights, rotation),
    keysBeforeRope,
    values: emitLinear(e, "v_proj", x, value),
  };
}

/** Queries as they enter the rotation, `[B, S, H * size]`. */
export const emitUnturnedQueries = (e: Emitter, x: string, weights: AttentionWeights): string =>
  emitUnturned(e, x, querySide(weights), weights);

/** Keys as they enter the rotation. */
export const emitUnturnedKeys = (e: Emitter, x: string, weights: AttentionWeights): string =>
  emitUnturned(e, x, keySide(weights), weights);

/** Queries after the rotation and a norm that follows it. */
export const emitTurnedQueries = (
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  rotation: Rotation | undefined,
): string => emitTurned(e, x, querySide(weights), weights, rotation);

/** One side of the scores on its way from the projection to the rotation. */
interface Side {
  readonly name: "q" | "k";
  readonly linear: Linear;
  readonly norm: HeadNormWeights | undefined;
  /** Heads as they leave the projection. */
  readonly projected: CacheShape;
  /** Heads as they are rotated. */
  readonly turned: CacheShape;
  /** The product between norm and rotation, in layers that have one. */
  readonly encode: ((e: Emitter, x: string) => string) | undefined;
}

function querySide(weights: AttentionWeights): Side {
  const { heads, query, queryNorm, unrotated } = weights;
  const projected = { heads, size: query.outputs / heads };
  return {
    name: "q",
    linear: query,
    norm: queryNorm,
    projected,
    turned: unrotated === undefined ? projected : { heads, size: weights.keys.size },
    encode: unrotated && ((e, x) => emitQueryBasis(e, x, weights, unrotated)),
  };
}

function keySide({
  key,
  keyNorm,
  keys,
  kvHeads,
  headDim,
  rotated,
  unrotated,
  expanded,
  joint,
}: AttentionWeights): Side {
  const matrices = unrotated?.encode ?? expanded?.encode;
  const isFoldedLater = matrices !== undefined || rotated !== undefined || joint !== undefined;
  const projected = isFoldedLater ? { heads: kvHeads, size: headDim } : keys;
  return {
    name: "k",
    linear: key,
    norm: keyNorm,
    projected,
    turned: unrotated === undefined ? projected : keys,
    encode: matrices && ((e, x) => emitKeyEncoding(e, x, keys, matrices)),
  };
}

/** Up to the rotation. */
function emitUnturned(e: Emitter, x: string, side: Side, { headNorm }: AttentionWeights): string {
  const { name, linear, norm, projected, encode } = side;
  const heads = emitLinear(e, `${name}_proj`, x, linear);
  const normed =
    headNorm === "before-rotation" && norm !== undefined
      ? emitHeadNorm(e.at(`${name}_norm`), heads, norm, projected)
      : heads;
  return encode === undefined ? normed : encode(e.at(`${name}_code`), normed);
}

/** The rotation, and a norm that follows it. */
function emitTurned(
  e: Emitter,
  x: string,
  { name, norm, turned }: Side,
  { headNorm, rope, slots }: AttentionWeights,
  rotation: Rotation | undefined,
): string {
  const rotated =
    rope === undefined || rotation === undefined
      ? x
      : emitRotation(e.at(`${name}_rotary`), x, { rotation, rope, shape: turned, slots });
  if (headNorm !== "after-rotation" || norm === undefined) return rotated;
  return emitHeadNorm(e.at(`${name}_norm`), rotated, norm, turned);
}
