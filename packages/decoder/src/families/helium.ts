import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";
import { readRope } from "./read-rope.js";

/** Helium: Llama that turns neighbouring numbers. */
export const helium: Family = {
  name: "Helium",
  modelType: "helium",
  describe: (config) =>
    describeLlama(config, {
      defaults: { headDim: 128, kvHeads: 20, maxPositions: 4096 },
      epsilon: ["rms_norm_eps", 1e-8],
      biases: {
        projections: config.flag("attention_bias", false),
        output: false,
        mlp: config.flag("mlp_bias", false),
      },
      ropeLayout: "interleaved",
      rope: (_, shape) => readRope(config, shape, { defaultTheta: 100_000 }),
    }),
};
