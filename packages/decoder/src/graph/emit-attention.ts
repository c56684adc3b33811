import { float } from "@kvfold/onnx";
import type { AttentionWeights, CacheShape, RotatedBasis } from "../model/decoder-weights.js";
import type { AttentionContext, AttentionValues, Projected, ProjectionValues } from "./attention-values.js";
import { emitLinear } from "./emit-linear.js";
import { emitPlainAttention } from "./emit-plain-attention.js";
import { emitRotation } from "./emit-rotation.js";
import { type Emitter, MICROSOFT } from "./emitter.js";
import type { Positions } from "./positions.js";
import { emitJoinHeads, emitSplitHeads } from "./split-heads.js";

/** Attention of one block on normalised hidden states `x [B, S, D]`, the output projection included. */
export function emitAttention(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  context: AttentionContext,
): AttentionValues {
  const values = emitAttended(e, x, weights, context);
  return { ...values, output: emitLinear(e, "o_proj", values.headOutputs, weights.output) };
}

/** The same up to the output projection. */
export function emitAttended(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  context: AttentionContext,
): Omit<AttentionValues, "output"> {
  const projections = emitProjections(e, x, weights, context.positions);
  const { queries, keys, values } = projections;
  const projected = { ...emitBasis(e, queries, keys, weights), value: values };
  const headOutputs =
    context.positions.lengths === undefined
      ? emitPlainAttention(e, projected, weights, context)
      : emitGroupQueryAttention(e, projected, weights, context);
  return { ...projections, headOutputs };
}

/**
 * Queries, keys and values of normalised hidden states, rotated where positions are rotations; keys that are expanded
 * at each use are rotated then.
 */
export function emitProjections(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  positions: Positions,
): ProjectionValues {
  const query = emitLinear(e, "q_proj", x, weights.query);
  const keysBeforeRope = emitLinear(e, "k_proj", x, weights.key);
  return {
    queries: emitRotation(e.at("q_rotary"), query, positions, weights.slots),
    keys: weights.expanded
      ? keysBeforeRope
      : emitRotation(e.at("k_rotary"), keysBeforeRope, positions, weights.slots),
    keysBeforeRope,
    values: emitLinear(e, "v_proj", x, weights.value),
  };
}

/** Takes rotated queries and keys into the folded basis (docs/method.md, Folding): two small products per token. */
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
    key: emitKeyBasis(e.at("k_basis"), key, weights, rotated),
  };
}

function emitQueryBasis(
  e: Emitter,
  query: string,
  { heads, headDim, keys }: AttentionWeights,
  basis: RotatedBasis,
): string {
  const decode = e.floats("decode", [heads, headDim, keys.size], basis.decode);
  return emitPerHead(e, query, { heads, size: headDim }, decode, keys.size);
}

function emitKeyBasis(
  e: Emitter,
  key: string,
  { key: projection, keys }: AttentionWeights,
  basis: RotatedBasis,
): string {
  const groupSize = projection.outputs / keys.heads;
  if (keys.heads === 1)
    return e.node("MatMul", "MatMul", [key, e.floats("encode", [groupSize, keys.size], basis.encode)]);
  const encode = e.floats("encode", [keys.heads, groupSize, keys.size], basis.encode);
  return emitPerHead(e, key, { heads: keys.heads, size: groupSize }, encode, keys.size);
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

/**
 * `com.microsoft.GroupQueryAttention`, its inputs 0 to 6 only (all that ONNX Runtime 1.21 has), the rotation done
 * before. The scale is that of the unfolded head, whatever the size of the folded one.
 */
function emitGroupQueryAttention(
  e: Emitter,
  { query, key, value }: Projected,
  weights: AttentionWeights,
  { positions, cache, slidingWindow }: AttentionContext,
): string {
  const { lastKey, total } = positions.lengths!;
  const inputs = [query, key, value, cache?.pastKey ?? "", cache?.pastValue ?? "", lastKey, total];
  const outputs = cache === undefined ? ["", ""] : [cache.presentKey, cache.presentValue];
  const name = `${e.path}/GroupQueryAttention`;
  return e.graph.nodeWithOutputs("GroupQueryAttention", inputs, [`${name}/output_0`, ...outputs], {
    name,
    domain: MICROSOFT,
    attributes: {
      num_heads: weights.heads,
      kv_num_heads: weights.keys.heads,
      scale: float(1 / Math.sqrt(weights.headDim)),
      do_rotary: 0,
      ...(slidingWindow === undefined ? {} : { local_window_size: slidingWindow }),
    },
  })[0]!;
}
