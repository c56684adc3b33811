import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { readLayerTypes } from "./layer-types.js";
import { describeLlama } from "./llama-like.js";
import { readLayers } from "./parts.js";

const defaults = { kvHeads: 8, maxPositions: 131_072 };

/** Mistral: Llama with a sliding window in some releases (7B v0.1: 4096 tokens; `null` in later ones). */
export const mistral: Family = {
  name: "Mistral",
  modelType: "mistral",
  describe: (config) => {
    const window = config.nullableCount("sliding_window", 4096);
    return describeLlama(config, { defaults, window: () => window });
  },
};

/** Ministral: Mistral with windows in some of its layers. */
export const ministral: Family = {
  name: "Ministral",
  modelType: "ministral",
  describe: (config) => describeLlama(config, { defaults, window: listedWindows(config) }),
};

function listedWindows(config: ConfigFields): (layer: number) => number | undefined {
  const window = config.nullableCount("sliding_window", 4096);
  const types = readLayerTypes(config, readLayers(config, "num_hidden_layers"), () =>
    window === undefined ? "full_attention" : "sliding_attention",
  );
  return (layer) => (types[layer] === "sliding_attention" ? window : undefined);
}
