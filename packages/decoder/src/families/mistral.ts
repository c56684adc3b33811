import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";
import { readLayerTypes } from "./parts.js";

/** Mistral: Llama with a sliding window in some releases (7B v0.1: 4096 tokens; `null` in later ones). */
export const mistral: Family = {
  name: "Mistral",
  modelType: "mistral",
  describe: (config) => {
    const window = config.nullable("sliding_window", 4096);
    return describeLlama(config, { window: () => window });
  },
};

/** Ministral: Mistral with windows in some of its layers. */
export const ministral: Family = {
  name: "Ministral",
  modelType: "ministral",
  describe: (config) => describeLlama(config, { window: listedWindows(config) }),
};

function listedWindows(config: ConfigFields): (layer: number) => number | undefined {
  const window = config.nullable("sliding_window", 4096);
  const types = readLayerTypes(config, config.count("num_hidden_layers"), () =>
    window === undefined ? "full_attention" : "sliding_attention",
  );
  return (layer) => (types[layer] === "sliding_attention" ? window : undefined);
}
