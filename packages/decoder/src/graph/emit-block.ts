import type { ModelConfig } from "../checkpoint/read-config.js";
import type { BlockWeights } from "../model/decoder-weights.js";
import type { AttentionContext, AttentionValues } from "./attention-values.js";
import { emitAttention } from "./emit-attention.js";
import { emitMlp } from "./emit-mlp.js";
import { emitNorm } from "./emit-norm.js";
import type { Emitter } from "./emitter.js";

/** Values inside a block that calibration may want to see. */
export interface BlockValues {
  readonly attention: AttentionValues;
  /** The residual stream between the two halves, `[B, S, D]`. */
  readonly attentionResidual: string;
  /** The residual stream behind the block, `[B, S, D]`. */
  readonly output: string;
}

/** One decoder block with pre-norm residuals, folded or not: `x [B, S, D]` to `output`. */
export function emitBlock(
  e: Emitter,
  x: string,
  weights: BlockWeights,
  config: ModelConfig,
  context: AttentionContext,
): BlockValues {
  const half = emitAttentionHalf(e, x, weights, config, context);
  return { ...half, output: emitMlpHalf(e, half.attentionResidual, weights, config) };
}

/** `x + attention(norm(x))`. */
export function emitAttentionHalf(
  e: Emitter,
  x: string,
  weights: BlockWeights,
  config: ModelConfig,
  context: AttentionContext,
): Pick<BlockValues, "attention" | "attentionResidual"> {
  const attention = emitAttention(
    e.at("attn"),
    emitAttentionInput(e, x, weights, config),
    weights.attention,
    context,
  );
  return { attention, attentionResidual: e.node("Add", "attn/residual/Add", [x, attention.output]) };
}

/** The normalised hidden states that the attention projections read. */
export function emitAttentionInput(
  e: Emitter,
  x: string,
  weights: BlockWeights,
  { family, shape }: ModelConfig,
): string {
  return emitNorm(e, "input_layernorm", x, family.norm, weights.attentionNorm, shape.normEpsilon);
}

/** `x + mlp(norm(x))`. */
export function emitMlpHalf(e: Emitter, x: string, weights: BlockWeights, config: ModelConfig): string {
  const output = emitMlp(e.at("mlp"), emitMlpInput(e, x, weights, config), weights.mlp, config.activation);
  return e.node("Add", "mlp/residual/Add", [x, output]);
}

/** The normalised hidden states that the MLP reads. */
export function emitMlpInput(
  e: Emitter,
  x: string,
  weights: BlockWeights,
  { family, shape }: ModelConfig,
): string {
  return emitNorm(e, "post_attention_layernorm", x, family.norm, weights.mlpNorm, shape.normEpsilon);
}
