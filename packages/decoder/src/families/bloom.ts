import type { Family } from "./family.js";

/** BLOOM: LayerNorm with biases, ALiBi, fused query-key-value, GELU (tanh form), normalised embeddings. */
export const bloom: Family = {
  name: "BLOOM",
  modelType: "bloom",
  norm: "layer",
  positions: "alibi",
  activation: "gelu_pytorch_tanh",
  tiedByDefault: true,
  config: {
    hiddenSize: ["hidden_size", "n_embed"],
    layers: ["n_layer", "num_hidden_layers"],
    heads: ["n_head", "num_attention_heads"],
    maxPositions: ["seq_length"],
    normEpsilon: ["layer_norm_epsilon"],
  },
  modules: {
    prefixes: ["transformer.", ""],
    embedding: "word_embeddings",
    embeddingNorm: "word_embeddings_layernorm",
    attentionNorm: "h.{layer}.input_layernorm",
    attention: {
      queryKeyValuePerHead: "h.{layer}.self_attention.query_key_value",
      output: "h.{layer}.self_attention.dense",
    },
    mlpNorm: "h.{layer}.post_attention_layernorm",
    mlp: { up: "h.{layer}.mlp.dense_h_to_4h", down: "h.{layer}.mlp.dense_4h_to_h" },
    finalNorm: "ln_f",
    head: "lm_head",
  },
  unsupported: ({ apply_residual_connection_post_layernorm: post }) =>
    post === true
      ? "apply_residual_connection_post_layernorm (only the pre-norm residual is implemented)"
      : undefined,
};
