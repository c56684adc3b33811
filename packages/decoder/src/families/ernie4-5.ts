import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";
import { readRope } from "./read-rope.js";

/** ERNIE 4.5 (dense): Llama that turns neighbouring numbers, with one switch for all biases. */
export const ernie45: Family = {
  name: "ERNIE 4.5",
  modelType: "ernie4_5",
  describe: (config) => {
    const bias = config.flag("use_bias", false);
    return describeLlama(config, {
      epsilon: ["rms_norm_eps", 1e-5],
      defaults: { tied: true, headDim: 128, kvHeads: 2, maxPositions: 131_072 },
      biases: { projections: bias, output: bias, mlp: bias },
      ropeLayout: "interleaved",
      rope: (_, shape) => readRope(config, shape, { defaultTheta: 500_000 }),
    });
  },
};
