import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { readLayerTypes } from "./layer-types.js";
import { describeLlama } from "./llama-like.js";
import { readLayers } from "./parts.js";
import { readRope } from "./read-rope.js";

/** SmolLM3: Llama without rotation in every fourth layer. */
export const smollm3: Family = {
  name: "SmolLM3",
  modelType: "smollm3",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    const layers = readLayers(config, "num_hidden_layers");
    const turns = readTurningLayers(config, layers);
    config.markRead("sliding_window", "max_window_layers");
    const on = config.flag("use_sliding_window", false);
    const window = on ? config.nullableCount("sliding_window", undefined) : undefined;
    const types = readLayerTypes(config, layers, (layer) =>
      window !== undefined && !turns(layer) ? "sliding_attention" : "full_attention",
    );
    return describeLlama(config, {
      defaults: { tied: true, kvHeads: 4, maxPositions: 32_768 },
      biases: { projections: attention, output: attention, mlp: config.flag("mlp_bias", false) },
      standardBiases: { attention: "attention_bias", mlp: "mlp_bias" },
      rope: (layer, shape) =>
        turns(layer) ? readRope(config, shape, { defaultTheta: 2_000_000 }) : undefined,
      window: (layer) => (types[layer] === "sliding_attention" ? window : undefined),
    });
  },
};

function readTurningLayers(config: ConfigFields, layers: number): (layer: number) => boolean {
  const interval = config.count("no_rope_layer_interval", 4);
  const listed = config.list("no_rope_layers", layers);
  return (layer) => (listed === undefined ? (layer + 1) % interval !== 0 : Boolean(listed[layer]));
}
