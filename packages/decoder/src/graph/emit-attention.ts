import type {
  AttentionWeights,
  CacheShape,
  HeadNormWeights,
  KeyBasis,
  Linear,
} from "../model/decoder-weights.js";
import type { AttentionContext, AttentionValues, Projected, ProjectionValues } from "./attention-values.js";
import { emitGroupQueryAttention } from "./emit-group-query-attention.js";
import { emitLinear } from "./emit-linear.js";
import { emitHeadNorm } from "./emit-norm.js";
import { emitPlainAttention } from "./emit-plain-attention.js";
import { emitRotation } from "./emit-rotation.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";
import { emitJoinHeads, emitSplitHeads } from "./split-heads.js";

/** Attention of one block on what its projections read, `x [B, S, D]`, the output projection included. */
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
  const emit = context.kind === "plain" ? emitPlainAttention : emitGroupQueryAttention;
  return { ...projections, headOutputs: emit(e, projected, weights, context) };
}

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
  const [query, key] = [querySide(weights), keySide(weights)];
  const unturnedQueries = emitUnturned(e, x, query, weights);
  const keysBeforeRope = emitUnturned(e, x, key, weights);
  return {
    queries: emitTurned(e, unturnedQueries, query, weights, positions),
    keys: weights.expanded ? keysBeforeRope : emitTurned(e, keysBeforeRope, key, weights, positions),
    keysBeforeRope,
    values: emitLinear(e, "v_proj", x, weights.value),
  };
}

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
}: AttentionWeights): Side {
  const matrices = unrotated?.encode ?? expanded?.encode;
  const isFoldedLater = matrices !== undefined || rotated !== undefined;
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
  positions: Positions,
): string {
  const rotated =
    rope === undefined
      ? x
      : emitRotation(e.at(`${name}_rotary`), x, {
          rotation: positions.rotation(rope, "new"),
          rope,
          shape: turned,
          slots,
        });
  if (headNorm !== "after-rotation" || norm === undefined) return rotated;
  return emitHeadNorm(e.at(`${name}_norm`), rotated, norm, turned);
}

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

function emitQueryBasis(
  e: Emitter,
  query: string,
  { heads, headDim, keys }: AttentionWeights,
  basis: KeyBasis,
): string {
  const decode = e.floats("decode", [heads, headDim, keys.size], basis.decode);
  return emitPerHead(e, query, { heads, size: headDim }, decode, keys.size);
}

/** `[B, S, keys.heads * n]` times a matrix for each folded head, `[n, keys.size]`. */
function emitKeyEncoding(e: Emitter, key: string, keys: CacheShape, encode: Float32Array): string {
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
