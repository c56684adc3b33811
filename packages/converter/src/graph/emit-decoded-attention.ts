import { fromFloat32, type Matrix, multiply, stackColumns, toFloat32, transpose } from "@kvfold/linalg";
import type { AttentionWeights, CacheShape, RotatedBasis } from "../model/decoder-weights.js";
import type { AttentionContext } from "./attention-values.js";
import { emitPerHead, emitProjections } from "./emit-attention.js";
import { emitPlainAttention } from "./emit-plain-attention.js";
import type { Emitter } from "./emitter.js";

/**
 * Folded attention over a whole window with the cached keys decoded: scores against heads of `d` numbers cost less than
 * against latents of `r > d`, and without a cache nothing is gained by the latent. Gives what the output projection
 * reads, `[1, S, H * values.size]`, as folded attention does.
 */
export function emitDecodedAttention(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  basis: RotatedBasis,
  context: AttentionContext,
): string {
  const { headDim, keys } = weights;
  const kvHeads = weights.key.outputs / headDim;
  const projections = emitProjections(e, x, weights, context.positions);
  const group: CacheShape = { heads: keys.heads, size: weights.key.outputs / keys.heads };
  const projectors = e.floats(
    "k_projector",
    [group.heads, group.size, group.size],
    keyProjectors(weights, basis, group),
  );
  const key = emitPerHead(e.at("k_projector"), projections.keys, group, projectors, group.size);
  const decoded = { ...weights, keys: { heads: kvHeads, size: headDim }, rotated: undefined };
  return emitPlainAttention(
    e,
    { query: projections.queries, key, value: projections.values },
    decoded,
    context,
  );
}

/** `encode decode` of each group of keys, `[keys.heads, s * d, s * d]`. */
function keyProjectors(
  weights: AttentionWeights,
  basis: RotatedBasis,
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
  { decode }: RotatedBasis,
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
