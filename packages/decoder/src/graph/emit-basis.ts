import type { AttentionWeights, CacheShape, KeyBasis } from "../model/decoder-weights.js";
import type { Projected } from "./attention-values.js";
import type { Emitter } from "./emitter.js";
import { emitJoinHeads, emitSplitHeads } from "./split-heads.js";

/** Takes finished queries and keys into the folded basis (docs/method.md, Folding): two small products per token. */
export function emitBasis(
  e: Emitter,
  query: string,
  key: string,
  weights: AttentionWeights,
): Omit<Projected, "value"> {
  const { rotated } = weights;
  if (rotated === undefined) return { query, key };
  return {
    query: emitQueryBasis(e.at("q_basis"), query, weights, rotated),
    key: emitKeyEncoding(e.at("k_basis"), key, weights.keys, rotated.encode),
  };
}

export function emitQueryBasis(
  e: Emitter,
  query: string,
  { heads, headDim, keys }: AttentionWeights,
  basis: KeyBasis,
): string {
  const decode = e.floats("decode", [heads, headDim, keys.size], basis.decode);
  return emitPerHead(e, query, { heads, size: headDim }, decode, keys.size);
}

/** `[B, S, keys.heads * n]` times a matrix for each folded head, `[n, keys.size]`. */
export function emitKeyEncoding(e: Emitter, key: string, keys: CacheShape, encode: Float32Array): string {
  const groupSize = encode.length / (keys.heads * keys.size);
  if (keys.heads === 1)
    return e.node("MatMul", "MatMul", [key, e.floats("encode", [groupSize, keys.size], encode)]);
  const matrices = e.floats("encode", [keys.heads, groupSize, keys.size], encode);
  return emitPerHead(e, key, { heads: keys.heads, size: groupSize }, matrices, keys.size);
}

/** `[B, S, heads * size]` times one matrix per head `[heads, size, width]` gives `[B, S, heads * width]`. */
export function emitPerHead(
  e: Emitter,
  x: string,
  { heads, size }: CacheShape,
  matrices: string,
  width: number,
): string {
  const split = emitSplitHeads(e, x, { heads, size });
  return emitJoinHeads(e, e.node("MatMul", "MatMul", [split, matrices]), heads * width);
}
