import type { Family } from "./family.js";
import { describeLlama, plainMlp } from "./llama-like.js";

/** Arcee's foundation models: Llama whose MLP squares a ReLU and has no gate. */
export const arcee: Family = {
  name: "Arcee",
  modelType: "arcee",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      defaults: { maxPositions: 4096 },
      epsilon: ["rms_norm_eps", 1e-5],
      biases: { projections: attention, output: attention, mlp: config.flag("mlp_bias", false) },
      mlp: plainMlp("up_proj", "down_proj"),
      activation: ["hidden_act", "relu2"],
    });
  },
};
