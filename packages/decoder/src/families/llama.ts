import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";

/** Llama 1 to 3, and the many models that are Llamas under their own names (Yi, TinyLlama, SmolLM, DeepSeek LLM). */
export const llama: Family = {
  name: "Llama",
  modelType: "llama",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      biases: { projections: attention, output: attention, mlp: config.flag("mlp_bias", false) },
      standardBiases: { attention: "attention_bias", mlp: "mlp_bias" },
    });
  },
};
