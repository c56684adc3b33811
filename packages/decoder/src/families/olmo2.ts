import type { Family } from "./family.js";
import { describeLlama, outputNorms } from "./llama-like.js";
import { wholeNorm } from "./parts.js";

/** OLMo 2: norms of what each half adds, and of all queries and all keys of a layer at once. */
export const olmo2: Family = {
  name: "OLMo 2",
  modelType: "olmo2",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      epsilon: ["rms_norm_eps", 1e-5],
      biases: { projections: attention, output: attention, mlp: false },
      norms: outputNorms,
      headNorms: (module, _, epsilon) => ({
        query: wholeNorm(`${module}.q_norm`, epsilon),
        key: wholeNorm(`${module}.k_norm`, epsilon),
        place: "before-rotation",
      }),
    });
  },
};
