import type { Family } from "./family.js";
import { describeLlama, fusedGatedMlp } from "./llama-like.js";
import { linear } from "./parts.js";

/** Phi-3 and Phi-4-mini: Llama with fused projections, and LongRoPE in its long-context releases. */
export const phi3: Family = {
  name: "Phi-3",
  modelType: "phi3",
  describe: (config) => {
    const window = config.nullable("sliding_window", undefined);
    return describeLlama(config, {
      epsilon: ["rms_norm_eps", 1e-5],
      projections: (module) => ({ layout: "contiguous", fused: linear(`${module}.qkv_proj`, false) }),
      mlp: fusedGatedMlp,
      window: () => window,
    });
  },
};
