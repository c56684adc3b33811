import type { AttentionWeights, CacheShape, KeyBasis } from "@kvfold/decoder";
import type { AttentionContext, Emitter, Projected, ProjectionValues } from "@kvfold/decoder/graph";
import { emitBasis, emitPerHead, emitPlainAttention, emitProjections } from "@kvfold/decoder/graph";
import { fromFloat32, type Matrix, multiply, stackColumns, toFloat32, transpose } from "@kvfold/linalg";

/** Directions that a head's outputs are taken in: fewer than the latent has, the same number for each head. */
export interface HeadDirections {
  readonly size: number;
  /** `[H, values.size, size]`. */
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
  const group: CacheShape = { heads: weights.keys.heads, size: weights.key.outputs / weights.keys.heads };
  const projectors = e.floats(
    "k_projector",
    [group.heads, group.size, group.size],
    keyProjectors(weights, rotated, group),
  );
  return {
    query: queries,
    key: emitPerHead(e.at("k_projector"), keys, group, projectors, group.size),
    keys: { heads: kvHeads, size: headDim },
  };
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

/** `[groups * readers, r, size]` to `[groups, r, readers * size]`. */
function sideBySide(
  matrices: Float32Array,
  { heads: groups, size: rank }: CacheShape,
  readers: number,
  size: number,
): Float32Array {
  const result = new Float32Array(matrices.length);
  for (let head = 0; head < groups * readers; head++) {
    const [group, reader] = [Math.floor(head / readers), head % readers];
    for (let row = 0; row < rank; row++) {
      const from = (head * rank + row) * size;
      result.set(matrices.subarray(from, from + size), ((group * rank + row) * readers + reader) * size);
    }
  }
  return result;
}

/** `encode decode` of each group of keys, `[keys.heads, s * d, s * d]`. */
function keyProjectors(
  weights: AttentionWeights,
  basis: KeyBasis,
  { heads, size }: CacheShape,
): Float32Array {
  const rank = weights.keys.size;
  const projectors = new Float32Array(heads * size * size);
  for (let group = 0; group < heads; group++) {
    const encode = fromFloat32(
      size,
      rank,
      basis.encode.subarray(group * size * rank, (group + 1) * size * rank),
    );
    const projector = multiply(encode, groupDecode(weights, basis, group, size / weights.headDim));
    projectors.set(toFloat32(projector), group * size * size);
  }
  return projectors;
}

/** `F [r, s * d]` of a group, from the queries' side: the first query head that reads a KV head speaks for it. */
function groupDecode(
  { heads, headDim, key, keys }: AttentionWeights,
  { decode }: KeyBasis,
  group: number,
  span: number,
): Matrix {
  const readers = heads / (key.outputs / headDim);
  const size = headDim * keys.size;
  return stackColumns(
    Array.from({ length: span }, (_, index) => {
      const head = (group * span + index) * readers;
      const values = decode.subarray(head * size, (head + 1) * size);
      return transpose(fromFloat32(headDim, keys.size, values));
    }),
  );
}
