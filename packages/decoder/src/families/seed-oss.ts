import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";

/** Seed-OSS: Llama with a separate switch for the output projection's bias. */
export const seedOss: Family = {
  name: "Seed-OSS",
  modelType: "seed_oss",
  describe: (config) =>
    describeLlama(config, {
      defaults: { headDim: 128, kvHeads: 8, maxPositions: 524_288 },
      biases: {
        projections: config.flag("attention_bias", true),
        output: config.flag("attention_out_bias", false),
        mlp: config.flag("mlp_bias", false),
      },
    }),
};
