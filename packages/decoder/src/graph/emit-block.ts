import type { HalfNorms } from "../model/block-spec.js";
import type { BlockWeights, NormWeights } from "../model/decoder-weights.js";
import type { AttentionContext, AttentionValues } from "./attention-values.js";
import { emitAttention } from "./emit-attention.js";
import { emitMlp } from "./emit-mlp.js";
import { emitOptionalNorm } from "./emit-norm.js";
import type { Emitter } from "./emitter.js";

/** Values inside a block that calibration may want to see. */
export interface BlockValues {
  readonly attention: AttentionValues;
  /** The residual stream between the two halves, `[B, S, D]`. */
  readonly attentionResidual: string;
  /** The residual stream after the block, `[B, S, D]`. */
  readonly output: string;
}

/** What the second half of a block starts from, `[B, S, D]` each. */
export interface BlockStreams {
  /** The stream before the block, which the MLP of a parallel block reads. */
  readonly hidden: string;
  /** The stream that attention has added to. */
  readonly residual: string;
}

/** One decoder block, folded or not: `x [B, S, D]` to `output`. */
export function emitBlock(
  e: Emitter,
  x: string,
  weights: BlockWeights,
  context: AttentionContext,
): BlockValues {
  const half = emitAttentionHalf(e, x, weights, context);
  const streams = { hidden: x, residual: half.attentionResidual };
  return { ...half, output: emitMlpHalf(e, streams, weights) };
}

/** `x` and what attention adds to it. */
export function emitAttentionHalf(
  e: Emitter,
  x: string,
  weights: BlockWeights,
  context: AttentionContext,
): Pick<BlockValues, "attention" | "attentionResidual"> {
  const input = emitAttentionInput(e, x, weights);
  const attention = emitAttention(e.at("attn"), input, weights.attention, context);
  return { attention, attentionResidual: emitSum(e, "attn", x, attention.output, weights.attentionNorms) };
}

/** What the attention projections read. */
export const emitAttentionInput = (e: Emitter, x: string, { attentionNorms }: BlockWeights): string =>
  emitOptionalNorm(e, "input_layernorm", x, attentionNorms.input);

/** The residual stream and what the MLP adds to it. */
export function emitMlpHalf(e: Emitter, streams: BlockStreams, weights: BlockWeights): string {
  const output = emitMlp(e.at("mlp"), emitMlpInput(e, streams, weights), weights.mlp);
  return emitSum(e, "mlp", streams.residual, output, weights.mlpNorms);
}

/** What the MLP reads. */
export function emitMlpInput(
  e: Emitter,
  { hidden, residual }: BlockStreams,
  { arrangement, mlpNorms }: BlockWeights,
): string {
  const x = arrangement === "parallel" ? hidden : residual;
  return emitOptionalNorm(e, "post_attention_layernorm", x, mlpNorms.input);
}

/** `residual(x + output(added))`, each norm where there is one. */
export function emitSum(
  e: Emitter,
  half: "attn" | "mlp",
  x: string,
  added: string,
  { output, residual }: HalfNorms<NormWeights>,
): string {
  const normed = emitOptionalNorm(e, `${half}/output_layernorm`, added, output);
  const sum = e.node("Add", `${half}/residual/Add`, [x, normed]);
  return emitOptionalNorm(e, `${half}/residual_layernorm`, sum, residual);
}
