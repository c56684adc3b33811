/** A Llama of 0.94 B parameters, as small as models of its kind come. */
import { writeCheckpoint } from "../true-shapes/synthetic-checkpoint.mjs";

export const LLAMA = {
  heads: 32,
  kvHeads: 32,
  headDim: 64,
  theta: 500_000,
  hidden: 2048,
  mlp: 6144,
  layers: 16,
  vocabulary: 32_000,
  positions: 40_960,
};

/** Its checkpoint with random weights and so many layers; gives the number of parameters. */
export const writeLlama = (folder, layers) =>
  writeCheckpoint(folder, {
    model_type: "llama",
    hidden_size: LLAMA.hidden,
    intermediate_size: LLAMA.mlp,
    num_hidden_layers: layers,
    num_attention_heads: LLAMA.heads,
    num_key_value_heads: LLAMA.kvHeads,
    head_dim: LLAMA.headDim,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: LLAMA.theta,
    vocab_size: LLAMA.vocabulary,
    hidden_act: "silu",
    tie_word_embeddings: true,
  });
