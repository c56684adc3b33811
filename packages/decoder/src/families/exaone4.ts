import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { describeLlama, outputNorms, sharedHeadNorms } from "./llama-like.js";
import { readLayerTypes, readRope } from "./parts.js";

/** EXAONE 4: OLMo 2's norms, Qwen3's norms of heads; in hybrid models full attention goes without rotation. */
export const exaone4: Family = {
  name: "EXAONE 4",
  modelType: "exaone4",
  describe: (config) => {
    const { window, isSliding } = readWindows(config);
    return describeLlama(config, {
      epsilon: ["rms_norm_eps", 1e-5],
      norms: outputNorms,
      headNorms: sharedHeadNorms(["q_norm", "k_norm"]),
      window: (layer) => (isSliding(layer) ? window : undefined),
      rope: (layer, headDim) =>
        window === undefined || isSliding(layer) ? readRope(config, { headDim }) : undefined,
    });
  },
};

function readWindows(config: ConfigFields) {
  const window = config.nullable("sliding_window", 4096);
  const pattern = readPattern(config.raw("sliding_window_pattern") ?? 4);
  const types = readLayerTypes(config, config.count("num_hidden_layers"), (layer) =>
    window !== undefined && pattern(layer) ? "sliding_attention" : "full_attention",
  );
  return {
    window,
    isSliding: (layer: number) => window !== undefined && types[layer] === "sliding_attention",
  };
}

/** A number n: every nth layer is full. A text such as `LLLG`: L sees a window, G everything. */
function readPattern(pattern: unknown): (layer: number) => boolean {
  if (typeof pattern === "string") return (layer) => pattern[layer % pattern.length] === "L";
  return (layer) => typeof pattern === "number" && pattern > 0 && (layer + 1) % pattern !== 0;
}
