import type { Family } from "./family.js";
import { describeLlama, plainMlp } from "./llama-like.js";
import { layerNorm } from "./parts.js";

/** What the training code was told; transformers does not read them. */
const TRAINING_FIELDS = [
  "activation_function",
  "attention_softmax_in_fp32",
  "layer_norm_epsilon",
  "mlp_type",
  "norm_type",
  "scale_attention_softmax_in_fp32",
  "scale_attn_weights",
];

/** StarCoder2: LayerNorms and biases throughout, a sliding window. */
export const starcoder2: Family = {
  name: "StarCoder2",
  modelType: "starcoder2",
  describe: (config) => {
    const bias = config.flag("use_bias", true);
    config.markRead(...TRAINING_FIELDS);
    const window = config.nullableCount("sliding_window", undefined);
    return describeLlama(config, {
      epsilon: ["norm_epsilon", 1e-5],
      defaults: { tied: true, kvHeads: 2, maxPositions: 4096 },
      norm: layerNorm,
      biases: { projections: bias, output: bias, mlp: bias },
      mlp: plainMlp("c_fc", "c_proj"),
      activation: ["hidden_act", "gelu_pytorch_tanh"],
      window: () => window,
    });
  },
};
