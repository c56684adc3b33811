import type { Family } from "./family.js";
import { describeLlama, plainMlp } from "./llama-like.js";
import { layerNorm } from "./parts.js";

/** StarCoder2: LayerNorms and biases throughout, a sliding window. */
export const starcoder2: Family = {
  name: "StarCoder2",
  modelType: "starcoder2",
  describe: (config) => {
    const bias = config.flag("use_bias", true);
    const window = config.nullable("sliding_window", undefined);
    return describeLlama(config, {
      epsilon: ["norm_epsilon", 1e-5],
      tiedByDefault: true,
      norm: layerNorm,
      biases: { projections: bias, output: bias, mlp: bias },
      mlp: plainMlp("c_fc", "c_proj"),
      activation: ["hidden_act", "gelu_pytorch_tanh"],
      window: () => window,
    });
  },
};
