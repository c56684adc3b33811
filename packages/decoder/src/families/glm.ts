import type { ConfigFields } from "../config/config-fields.js";
import type { NormSource } from "../model/block-spec.js";
import type { Family } from "./family.js";
import { describeLlama, fusedGatedMlp, type LlamaVariant } from "./llama-like.js";
import { readRope } from "./read-rope.js";

/** GLM-4 of 2024: Llama with a fused MLP; half of each head turns, neighbouring numbers together. */
export const glm: Family = {
  name: "GLM",
  modelType: "glm",
  describe: (config) => describeLlama(config, glmVariant(config)),
};

/** GLM-4-0414: GLM with norms before and after each half. */
export const glm4: Family = {
  name: "GLM-4",
  modelType: "glm4",
  describe: (config) => describeLlama(config, { ...glmVariant(config), norms: aroundBothHalves }),
};

const glmVariant = (config: ConfigFields): LlamaVariant => ({
  defaults: { headDim: 128, kvHeads: 2, maxPositions: 131_072 },
  epsilon: ["rms_norm_eps", 1.5625e-7],
  biases: { projections: config.flag("attention_bias", true), output: false, mlp: false },
  mlp: fusedGatedMlp,
  ropeLayout: "interleaved",
  rope: (_, shape) => readRope(config, shape, { defaultShare: 0.5 }),
});

const aroundBothHalves = (_: string, norm: (name: string) => NormSource) => ({
  attention: { input: norm("input_layernorm"), output: norm("post_self_attn_layernorm") },
  mlp: { input: norm("post_attention_layernorm"), output: norm("post_mlp_layernorm") },
});
