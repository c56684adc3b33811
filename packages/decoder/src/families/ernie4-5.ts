import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";
import { readRope } from "./parts.js";

/** ERNIE 4.5 (dense): Llama that turns neighbouring numbers, with one switch for all biases. */
export const ernie45: Family = {
  name: "ERNIE 4.5",
  modelType: "ernie4_5",
  describe: (config) => {
    const bias = config.flag("use_bias", false);
    return describeLlama(config, {
      epsilon: ["rms_norm_eps", 1e-5],
      headDim: 128,
      tiedByDefault: true,
      biases: { projections: bias, output: bias, mlp: bias },
      ropeLayout: "interleaved",
      rope: (_, headDim) => readRope(config, { headDim, defaultTheta: 500_000 }),
    });
  },
};
