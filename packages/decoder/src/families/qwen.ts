import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { readLayerTypes } from "./layer-types.js";
import { describeLlama, sharedHeadNorms } from "./llama-like.js";
import { readLayers } from "./parts.js";

const defaults = { kvHeads: 32, maxPositions: 32_768 };

/** Qwen2 and Qwen2.5: Llama with biases on queries, keys and values. */
export const qwen2: Family = {
  name: "Qwen2",
  modelType: "qwen2",
  describe: (config) =>
    describeLlama(config, {
      defaults,
      biases: { projections: true, output: false, mlp: false },
      window: windowsFromLayer(config),
    }),
};

/** Qwen3: Llama with norms of queries and keys, head by head. */
export const qwen3: Family = {
  name: "Qwen3",
  modelType: "qwen3",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      defaults: { ...defaults, headDim: 128 },
      biases: { projections: attention, output: attention, mlp: false },
      headNorms: sharedHeadNorms(["q_norm", "k_norm"]),
      window: windowsFromLayer(config),
    });
  },
};

/** Layers from `max_window_layers` on see a window, where the config switches it on. */
function windowsFromLayer(config: ConfigFields): (layer: number) => number | undefined {
  config.markRead("sliding_window");
  const on = config.flag("use_sliding_window", false);
  const window = on ? config.nullableCount("sliding_window", 4096) : undefined;
  const first = config.number("max_window_layers", 28);
  const types = readLayerTypes(config, readLayers(config, "num_hidden_layers"), (layer) =>
    window !== undefined && layer >= first ? "sliding_attention" : "full_attention",
  );
  return (layer) => (types[layer] === "sliding_attention" ? window : undefined);
}
