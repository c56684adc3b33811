import type { Family } from "./family.js";
import { describeLlama, plainMlp } from "./llama-like.js";
import { layerNorm } from "./parts.js";
import { readRope } from "./read-rope.js";

/** Nemotron and Minitron: LayerNorms that store `w - 1`, squared ReLU, half of each head turns. */
export const nemotron: Family = {
  name: "Nemotron",
  modelType: "nemotron",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      defaults: { maxPositions: 4096 },
      epsilon: ["norm_eps", 1e-5],
      norm: (name, epsilon) => ({ ...layerNorm(name, epsilon), weightOffset: 1 }),
      biases: { projections: attention, output: attention, mlp: config.flag("mlp_bias", false) },
      mlp: plainMlp("up_proj", "down_proj"),
      activation: ["hidden_act", "relu2"],
      rope: (_, shape) => readRope(config, shape, { defaultShare: 0.5 }),
    });
  },
};
