import type { AttentionWeights, CacheShape, JointLatent, KeyBasis } from "@kvfold/decoder";
import type { AttentionContext, Emitter, Projected, ProjectionValues } from "@kvfold/decoder/graph";
import {
  emitAttended,
  emitBasis,
  emitPerHead,
  emitPlainAttention,
  emitProjections,
  sideBySide,
} from "@kvfold/decoder/graph";

/** Directions that a head's outputs are taken in: fewer than the latent has, the same number for each head. */
export interface HeadDirections {
  readonly size: number;
  /** `[H, n, size]`, where `output` reads `n` numbers a head: `values.size`, unless latents are joint. */
  readonly matrices: Float32Array;
}

/**
 * Folded attention over a whole window without its latents where they are wider than heads: scores against decoded keys,
 * `d` numbers a head, and values in the directions that are asked for. Without a cache nothing is gained by a latent.
 * Gives `[1, S, H * directions.size]`, or what the output projection reads, `[1, S, H * values.size]`.
 */
export function emitDecodedAttention(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  context: AttentionContext,
  directions?: HeadDirections,
): string {
  if (weights.joint !== undefined) {
    const joint = narrowJoint(weights.joint, weights, directions);
    return emitAttended(e, x, { ...weights, joint }, context).headOutputs;
  }
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

/** Joint latents that are read in the directions, where there are any. */
function narrowJoint(
  joint: JointLatent,
  { heads, keys, values }: AttentionWeights,
  directions: HeadDirections | undefined,
): JointLatent {
  if (directions === undefined) return joint;
  const sizes = { heads, rows: keys.size + values.size, columns: directions.size };
  return { ...joint, decodeValues: multiplyHeads(joint.decodeValues, directions.matrices, sizes) };
}

interface ProductSizes {
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
}

/** `[heads, rows, n]` times `[heads, n, columns]`. */
function multiplyHeads(
  left: Float32Array,
  right: Float32Array,
  { heads, rows, columns }: ProductSizes,
): Float32Array {
  const inner = left.length / (heads * rows);
  const result = new Float32Array(heads * rows * columns);
  for (let row = 0; row < heads * rows; row++) {
    const head = Math.floor(row / rows);
    for (let i = 0; i < inner; i++) {
      const factor = left[row * inner + i]!;
      const from = (head * inner + i) * columns;
      for (let j = 0; j < columns; j++) result[row * columns + j]! += factor * right[from + j]!;
    }
  }
  return result;
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
