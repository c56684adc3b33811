import { type ConfigFields, malformed } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { everyNthIsFull, type LayerType, readLayerTypes } from "./layer-types.js";
import { describeLlama, outputNorms, sharedHeadNorms } from "./llama-like.js";
import { readLayers } from "./parts.js";
import { readRope } from "./read-rope.js";

/** EXAONE 4: OLMo 2's norms, Qwen3's norms of heads; in hybrid models full attention goes without rotation. */
export const exaone4: Family = {
  name: "EXAONE 4",
  modelType: "exaone4",
  describe: (config) => {
    const { window, isSliding } = readWindows(config);
    return describeLlama(config, {
      defaults: { kvHeads: 32 },
      epsilon: ["rms_norm_eps", 1e-5],
      norms: outputNorms,
      headNorms: sharedHeadNorms(["q_norm", "k_norm"]),
      window: (layer) => (isSliding(layer) ? window : undefined),
      rope: (layer, shape) =>
        window === undefined || isSliding(layer) ? readRope(config, shape) : undefined,
    });
  },
};

function readWindows(config: ConfigFields) {
  const window = config.nullableCount("sliding_window", 4096);
  const rule = readPattern(config.raw("sliding_window_pattern") ?? 4);
  const types = readLayerTypes(config, readLayers(config, "num_hidden_layers"), (layer) =>
    window === undefined ? "full_attention" : rule(layer),
  );
  return {
    window,
    isSliding: (layer: number) => window !== undefined && types[layer] === "sliding_attention",
  };
}

/** A number n: every nth layer is full. A text such as `LLLG`: L sees a window, G everything. */
function readPattern(pattern: unknown): (layer: number) => LayerType {
  if (typeof pattern === "number" && Number.isSafeInteger(pattern) && pattern > 0)
    return everyNthIsFull(pattern);
  if (typeof pattern === "string" && /^[LG]+$/.test(pattern))
    return (layer) => (pattern[layer % pattern.length] === "L" ? "sliding_attention" : "full_attention");
  throw malformed("sliding_window_pattern", "a positive integer, or a text of L and G", pattern);
}
