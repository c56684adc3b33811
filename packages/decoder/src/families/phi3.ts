import type { Family } from "./family.js";
import { describeLlama, fusedGatedMlp } from "./llama-like.js";
import { linear } from "./parts.js";
import { readRope } from "./read-rope.js";

/** Phi-3 and Phi-4-mini: Llama with fused projections, and LongRoPE in its long-context releases. */
export const phi3: Family = {
  name: "Phi-3",
  modelType: "phi3",
  describe: (config) => {
    const window = config.nullableCount("sliding_window", undefined);
    return describeLlama(config, {
      defaults: { maxPositions: 4096 },
      epsilon: ["rms_norm_eps", 1e-5],
      projections: (module) => ({ layout: "contiguous", fused: linear(`${module}.qkv_proj`, false) }),
      mlp: fusedGatedMlp,
      window: () => window,
      rope: (_, shape) =>
        readRope(config, shape, {
          defaultShare: 1,
          originalPositions: 4096,
          // The first releases took the name of another scaling.
          renamed: { yarn: "longrope" },
        }),
    });
  },
};
