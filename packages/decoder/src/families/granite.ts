import type { Family } from "./family.js";
import { describeLlama, factor } from "./llama-like.js";

/** Granite 3: Llama with four multipliers. */
export const granite: Family = {
  name: "Granite",
  modelType: "granite",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      biases: { projections: attention, output: attention, mlp: config.flag("mlp_bias", false) },
      standardBiases: { attention: "attention_bias", mlp: "mlp_bias" },
      embeddingScale: factor(config, "embedding_multiplier"),
      residualFactor: factor(config, "residual_multiplier"),
      scale: factor(config, "attention_multiplier"),
      logitFactor: 1 / factor(config, "logits_scaling"),
    });
  },
};
