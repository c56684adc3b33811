import type { Family } from "./family.js";
import { describeLlama, plainMlp } from "./llama-like.js";
import { layerNorm, refuse } from "./parts.js";
import { readRope } from "./read-rope.js";

/** Phi-1, 1.5 and 2: attention and MLP side by side after one LayerNorm, biases everywhere. */
export const phi: Family = {
  name: "Phi",
  modelType: "phi",
  describe: (config) => {
    refuse(config.flag("qk_layernorm", false), "Phi", "qk_layernorm (no released model has it)");
    return describeLlama(config, {
      epsilon: ["layer_norm_eps", 1e-5],
      norm: layerNorm,
      norms: (_, norm) => ({
        attention: { input: norm("input_layernorm") },
        mlp: { input: norm("input_layernorm") },
      }),
      arrangement: "parallel",
      biases: { projections: true, output: true, mlp: true },
      output: "dense",
      mlp: plainMlp("fc1", "fc2"),
      activation: ["hidden_act", "gelu_pytorch_tanh"],
      rope: (_, shape) => readRope(config, shape, { defaultShare: 0.5 }),
      finalNorm: "model.final_layernorm",
      head: { bias: true },
    });
  },
};
