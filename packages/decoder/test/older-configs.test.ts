import { describe, expect, it } from "vitest";
import { readConfig } from "../src/index.js";
import { familyNames, readFields } from "./support/families.js";

interface OlderForm {
  /** Fields that older configs did not have, besides `rope_parameters` and `layer_types`: their values are defaults. */
  readonly without: readonly string[];
  /** Fields that they had instead. */
  readonly with: Readonly<Record<string, unknown>>;
}

/** Rotary positions without scaling, as configs of before transformers 5 say it. */
const plainRope = { rope_theta: 10_000.0, rope_scaling: null };

const longFactors = {
  long_factor: [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
  short_factor: [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
};

const llamaDefaults = ["attention_bias", "mlp_bias", "rms_norm_eps", "tie_word_embeddings", "hidden_act"];

/** Configs of the golden models as the Hub has them: written by transformers 4 and 3, or by the models' own code. */
const olderForms: Readonly<Record<string, OlderForm>> = {
  llama: {
    without: ["head_dim", "rms_norm_eps", "tie_word_embeddings"],
    with: {
      rope_theta: 10_000.0,
      rope_scaling: {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 16,
        rope_type: "llama3",
      },
    },
  },
  "llama-linear": {
    without: llamaDefaults,
    with: { rope_scaling: { type: "linear", factor: 4.0 }, is_llama_config: true, rope_interleaved: false },
  },
  "llama-yarn": {
    without: [...llamaDefaults, "head_dim"],
    with: { rope_scaling: { type: "yarn", factor: 4.0, original_max_position_embeddings: 16 } },
  },
  "llama-internlm": {
    without: ["mlp_bias", "head_dim"],
    with: { rope_theta: 10_000, rope_scaling: { type: "dynamic", factor: 2.0 } },
  },
  mistral: {
    without: ["head_dim", "rms_norm_eps", "tie_word_embeddings"],
    with: { rope_theta: 10_000.0 },
  },
  qwen2: {
    without: ["rms_norm_eps"],
    with: { rope_theta: 10_000.0 },
  },
  qwen3: {
    without: ["attention_bias", "rms_norm_eps"],
    with: plainRope,
  },
  gemma2: {
    without: ["attention_bias", "tie_word_embeddings", "rms_norm_eps", "use_bidirectional_attention"],
    with: { rope_theta: 10_000.0, hidden_act: "gelu_pytorch_tanh", cache_implementation: "hybrid" },
  },
  gemma3_text: {
    without: [
      "_sliding_window_pattern",
      "attention_bias",
      "tie_word_embeddings",
      "use_bidirectional_attention",
      "attn_logit_softcapping",
      "final_logit_softcapping",
    ],
    with: {
      rope_theta: 1_000_000,
      rope_local_base_freq: 10_000,
      rope_scaling: null,
      sliding_window_pattern: 3,
      cache_implementation: "hybrid",
    },
  },
  phi: {
    without: ["qk_layernorm", "tie_word_embeddings", "layer_norm_eps"],
    with: { ...plainRope, partial_rotary_factor: 0.5, num_key_value_heads: null },
  },
  phi3: {
    without: ["rms_norm_eps", "tie_word_embeddings"],
    with: {
      rope_theta: 10_000.0,
      rope_scaling: { ...longFactors, type: "longrope" },
      attention_bias: false,
      auto_map: { AutoConfig: "configuration_phi3.Phi3Config" },
    },
  },
  "phi3-short": {
    without: ["rms_norm_eps", "sliding_window"],
    with: {
      rope_theta: 10_000.0,
      rope_scaling: { ...longFactors, type: "su" },
      mlp_bias: false,
      lm_head_bias: false,
    },
  },
  olmo2: {
    without: ["attention_bias", "rms_norm_eps", "tie_word_embeddings"],
    with: plainRope,
  },
  granite: {
    without: ["attention_bias", "mlp_bias", "rms_norm_eps", "tie_word_embeddings"],
    with: plainRope,
  },
  smollm3: {
    without: ["attention_bias", "mlp_bias", "tie_word_embeddings", "no_rope_layers", "rms_norm_eps"],
    with: { rope_theta: 2_000_000.0, rope_scaling: null, max_window_layers: 28 },
  },
  gpt_neox: {
    without: ["attention_bias", "tie_word_embeddings", "hidden_act"],
    with: { rotary_emb_base: 10_000, rotary_pct: 0.25 },
  },
  "gpt_neox-sequential": {
    without: ["layer_norm_eps"],
    // Versions 4.4x wrote the new names beside the old ones.
    with: {
      rotary_emb_base: 10_000,
      rotary_pct: 1.0,
      rope_theta: 10_000,
      partial_rotary_factor: 1.0,
      rope_scaling: null,
    },
  },
  gpt2: {
    without: [
      "add_cross_attention",
      "reorder_and_upcast_attn",
      "scale_attn_by_inverse_layer_idx",
      "scale_attn_weights",
      "tie_word_embeddings",
      "activation_function",
    ],
    with: { n_ctx: 64, _num_labels: 1, task_specific_params: { "text-generation": { max_length: 50 } } },
  },
  gpt_bigcode: {
    without: ["add_cross_attention", "num_key_value_heads", "tie_word_embeddings", "layer_norm_epsilon"],
    with: { inference_runner: 0, max_batch_size: null, pad_key_length: true, validate_runner_input: true },
  },
  opt: {
    without: [
      "enable_bias",
      "layer_norm_elementwise_affine",
      "tie_word_embeddings",
      "word_embed_proj_dim",
      "_remove_final_layer_norm",
    ],
    with: { activation_dropout: 0.0, prefix: "</s>" },
  },
  "opt-350m-like": {
    without: ["enable_bias", "layer_norm_elementwise_affine", "tie_word_embeddings", "activation_function"],
    with: { activation_dropout: 0.0 },
  },
  falcon: {
    without: ["num_ln_in_parallel_attn", "tie_word_embeddings", "activation", "max_position_embeddings"],
    with: { rope_theta: 10_000.0, rope_scaling: null },
  },
  "falcon-mqa": {
    without: ["num_ln_in_parallel_attn", "num_kv_heads", "tie_word_embeddings", "new_decoder_architecture"],
    with: { n_head_kv: 4 },
  },
  mpt: {
    without: ["layer_norm_epsilon", "tie_word_embeddings", "initializer_range"],
    with: { init_config: { name: "kaiming_normal_" }, tokenizer_name: "EleutherAI/gpt-neox-20b", verbose: 0 },
  },
  bloom: {
    without: ["hidden_size", "n_head", "tie_word_embeddings", "layer_norm_epsilon"],
    with: {
      n_embed: 64,
      num_attention_heads: 4,
      attention_softmax_in_fp32: true,
      masked_softmax_fusion: true,
      offset_alibi: 100,
      skip_bias_add: true,
      unk_token_id: 0,
    },
  },
  cohere: {
    without: ["attention_bias", "tie_word_embeddings", "use_qk_norm", "layer_norm_eps"],
    with: { rope_theta: 500_000.0, model_max_length: 8192 },
  },
  "cohere-qknorm": {
    without: ["attention_bias", "tie_word_embeddings"],
    with: { rope_theta: 500_000.0, rope_scaling: null },
  },
  glm4: {
    without: ["attention_bias", "tie_word_embeddings", "partial_rotary_factor", "rms_norm_eps"],
    with: { rope_theta: 10_000.0 },
  },
  stablelm: {
    without: ["qk_layernorm", "use_parallel_residual", "partial_rotary_factor", "tie_word_embeddings"],
    with: { rope_theta: 10_000, rotary_scaling_factor: 1.0 },
  },
  "stablelm-qknorm": {
    without: ["use_qkv_bias", "layer_norm_eps"],
    with: { ...plainRope, partial_rotary_factor: 0.5 },
  },
  starcoder2: {
    without: ["tie_word_embeddings", "norm_epsilon", "hidden_act", "use_bias"],
    with: {
      rope_theta: 10_000.0,
      activation_function: "gelu",
      layer_norm_epsilon: 1e-5,
      mlp_type: "default",
    },
  },
  nemotron: {
    without: ["head_dim", "mlp_bias", "tie_word_embeddings", "norm_eps", "hidden_act"],
    with: { rope_theta: 10_000, partial_rotary_factor: 0.5 },
  },
  exaone4: {
    without: ["rms_norm_eps", "tie_word_embeddings"],
    with: { ...plainRope, sliding_window_pattern: 4 },
  },
  ernie4_5: {
    without: ["tie_word_embeddings", "rms_norm_eps"],
    with: { rope_theta: 500_000.0, rope_scaling: null },
  },
  hunyuan_v1_dense: {
    without: ["tie_word_embeddings", "attention_bias", "rms_norm_eps"],
    with: {
      rope_theta: 10_000.0,
      rope_scaling: {
        alpha: 100.0,
        beta_fast: 32,
        beta_slow: 1,
        factor: 1.0,
        mscale: 1.0,
        mscale_all_dim: 1.0,
        type: "dynamic",
      },
    },
  },
  seed_oss: {
    without: ["attention_bias", "attention_out_bias", "mlp_bias", "tie_word_embeddings", "rms_norm_eps"],
    with: { rope_theta: 10_000.0, rope_scaling: { rope_type: "default" } },
  },
};

/** Fields that all configs of transformers 5 have and older ones do not. */
const NEW_FIELDS = ["rope_parameters", "layer_types", "dtype", "transformers_version"];

function olderFields(name: string): Record<string, unknown> {
  const { without, with: added } = olderForms[name]!;
  const dropped = [...NEW_FIELDS, ...without];
  const kept = Object.entries(readFields(name)).filter(([field]) => !dropped.includes(field));
  return { ...Object.fromEntries(kept), torch_dtype: "float32", transformers_version: "4.40.0", ...added };
}

function describeModel(fields: Record<string, unknown>) {
  const { fields: _, ...model } = readConfig(JSON.stringify(fields));
  return model;
}

describe("an older config describes the same model as that of transformers 5, and leaves nothing unread", () => {
  it.each(familyNames)("%s", (name) => {
    const { without } = olderForms[name]!;
    expect(Object.keys(readFields(name))).toEqual(expect.arrayContaining([...without]));
    const model = describeModel(readFields(name));
    expect(model.notices).toEqual([]);
    expect(describeModel(olderFields(name))).toEqual(model);
  });
});
