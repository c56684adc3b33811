import type { Family } from "./family.js";

/** Llama: RMSNorm, RoPE, SwiGLU. Mistral and Qwen2 differ from it in data only. */
export const llama: Family = {
  name: "Llama",
  modelType: "llama",
  norm: "rms",
  positions: "rope",
  activation: "silu",
  tiedByDefault: false,
  biasOptions: { attention: "attention_bias", mlp: "mlp_bias" },
  config: {
    hiddenSize: ["hidden_size"],
    layers: ["num_hidden_layers"],
    heads: ["num_attention_heads"],
    kvHeads: ["num_key_value_heads"],
    headDim: ["head_dim"],
    intermediateSize: ["intermediate_size"],
    maxPositions: ["max_position_embeddings"],
    normEpsilon: ["rms_norm_eps"],
    activation: ["hidden_act"],
  },
  modules: {
    prefixes: [""],
    embedding: "model.embed_tokens",
    attentionNorm: "model.layers.{layer}.input_layernorm",
    attention: {
      query: "model.layers.{layer}.self_attn.q_proj",
      key: "model.layers.{layer}.self_attn.k_proj",
      value: "model.layers.{layer}.self_attn.v_proj",
      output: "model.layers.{layer}.self_attn.o_proj",
    },
    mlpNorm: "model.layers.{layer}.post_attention_layernorm",
    mlp: {
      gate: "model.layers.{layer}.mlp.gate_proj",
      up: "model.layers.{layer}.mlp.up_proj",
      down: "model.layers.{layer}.mlp.down_proj",
    },
    finalNorm: "model.norm",
    head: "lm_head",
  },
};
