import type { AttentionWeights } from "../model/decoder-weights.js";
import type { AttentionContext, AttentionValues } from "./attention-values.js";
import { emitBasis } from "./emit-basis.js";
import { emitDeltaAttention } from "./emit-delta-attention.js";
import { emitGroupQueryAttention } from "./emit-group-query-attention.js";
import { emitLinear } from "./emit-linear.js";
import { emitPlainAttention } from "./emit-plain-attention.js";
import { emitProjections } from "./emit-projections.js";
import { emitRaggedAttention } from "./emit-ragged-attention.js";
import type { Emitter } from "./emitter.js";
import { emitJointAttended } from "./joint/emit-joint-attended.js";
import { emitQuantisedAttention } from "./quantised/emit-quantised-attention.js";

const emitters = {
  "group-query": emitGroupQueryAttention,
  plain: emitPlainAttention,
  delta: emitDeltaAttention,
  ragged: emitRaggedAttention,
};

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
  if (weights.joint !== undefined) return emitJointAttended(e, x, weights, weights.joint, context);
  const projections = emitProjections(e, x, weights, context.positions);
  const { queries, keys, values } = projections;
  const projected = { ...emitBasis(e, queries, keys, weights), value: values };
  const emit = context.cache?.coding === undefined ? emitters[context.kind] : emitQuantisedAttention;
  return { ...projections, headOutputs: emit(e, projected, weights, context) };
}
