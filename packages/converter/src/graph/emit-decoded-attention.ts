import type { AttentionWeights, CacheShape, KeyBasis } from "@kvfold/decoder";
import type { AttentionContext, Emitter, Projected, ProjectionValues } from "@kvfold/decoder/graph";
import {
  emitBasis,
  emitPerHead,
  emitPlainAttention,
  emitProjections,
  sideBySide,
} from "@kvfold/decoder/graph";

/** Directions that a head's outputs are taken in: fewer than the latent has, the same number for each head. */
export interface HeadDirections {
  readonly size: number;
  /** `[H, n, size]`, where `output` reads `n` numbers a head: `values.size`, or both halves of a joint latent. */
  readonly matrices: Float32Array;
}

/**
 * Folded attention over a whole window without its latents where they are wider than heads: scores against decoded keys,
 * `d` numbers a head, and values in the directions that are asked for. Without a cache nothing is gained by a latent.
 * Joint latents are read in their directions already (`emitAttended`).
 * Gives `[1, S, H * directions.size]`, or what the output projection reads, `[1, S, H * values.size]`.
 */
export function emitDecodedAttention(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  context: AttentionContext,
  directions?: HeadDirections,
): string {
  const projections = emitProjections(e, x, weights, context.positions);
  const scored = emitScoredSide(e, projections, weights);
  const { value, values } =
    directions === undefined
      ? { value: projections.values, values: weights.values }
      : emitValues(e.at("v_directions"), projections.values, weights, directions);
  const { query, key, keys } = scored;
  return emitPlainAttention(
    e,
    { query, key, value },
    { ...weights, keys, values, rotated: undefined },
    context,
  );
}

/** Queries and keys: decoded where latents are wider than heads. */
function emitScoredSide(
  e: Emitter,
  { queries, keys }: ProjectionValues,
  weights: AttentionWeights,
): Omit<Projected, "value"> & { readonly keys: CacheShape } {
  const { headDim, rotated } = weights;
  if (rotated === undefined || !hasWideKeys(weights))
    return { ...emitBasis(e, queries, keys, weights), keys: weights.keys };
  const { kvHeads } = weights;
  return {
    query: queries,
    key: emitDecodedKeys(e, keys, weights, rotated),
    keys: { heads: kvHeads, size: headDim },
  };
}

/** Rotated keys `[1, S, Hkv * d]` through the cache's latents and back: two thin products, whatever the span. */
function emitDecodedKeys(
  e: Emitter,
  rows: string,
  weights: AttentionWeights,
  { encode, decode }: KeyBasis,
): string {
  const { key, keys } = weights;
  const group: CacheShape = { heads: keys.heads, size: key.outputs / keys.heads };
  const encoders = e.floats("k_encode", [group.heads, group.size, keys.size], encode);
  const latents = emitPerHead(e.at("k_encode"), rows, group, encoders, keys.size);
  const part = e.at("k_decode");
  const decoders = e.floats("k_decode", [group.heads, group.size, keys.size], groupDecoders(weights, decode));
  const turned = part.transpose("decoders/Transpose", decoders, [0, 2, 1]);
  return emitPerHead(part, latents, keys, turned, group.size);
}

/** Whether keys are latents that cost more to score against than heads do. */
export const hasWideKeys = ({ rotated, keys, headDim }: AttentionWeights): boolean =>
  rotated !== undefined && keys.size > headDim;

/** Latent values `[1, S, values.heads * r]` for each query head, in its directions: `[1, S, H * size]`. */
function emitValues(
  e: Emitter,
  latents: string,
  { heads, values }: AttentionWeights,
  { size, matrices }: HeadDirections,
): { readonly value: string; readonly values: CacheShape } {
  const readers = heads / values.heads;
  const perGroup = e.floats(
    "directions",
    [values.heads, values.size, readers * size],
    sideBySide(matrices, values, readers, size),
  );
  return {
    value: emitPerHead(e, latents, values, perGroup, readers * size),
    values: { heads, size },
  };
}

/**
 * `Fᵀ [s * d, r]` of each group, from the queries' side, `decode [H, d, r]`: the first query head that reads a KV head
 * speaks for it.
 */
function groupDecoders(
  { heads, kvHeads, headDim, keys }: AttentionWeights,
  decode: Float32Array,
): Float32Array {
  const size = headDim * keys.size;
  const decoders = new Float32Array(kvHeads * size);
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    const head = kvHead * (heads / kvHeads);
    decoders.set(decode.subarray(head * size, (head + 1) * size), kvHead * size);
  }
  return decoders;
}
