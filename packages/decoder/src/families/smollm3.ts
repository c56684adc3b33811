import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";
import { readLayerTypes, readRope } from "./parts.js";

/** SmolLM3: Llama without rotation in every fourth layer. */
export const smollm3: Family = {
  name: "SmolLM3",
  modelType: "smollm3",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    const layers = config.count("num_hidden_layers");
    const turns = readTurningLayers(config, layers);
    const window = config.nullable("sliding_window", undefined);
    const on = config.flag("use_sliding_window", false) && window !== undefined;
    const types = readLayerTypes(config, layers, (layer) =>
      on && !turns(layer) ? "sliding_attention" : "full_attention",
    );
    return describeLlama(config, {
      tiedByDefault: true,
      biases: { projections: attention, output: attention, mlp: config.flag("mlp_bias", false) },
      standardBiases: { attention: "attention_bias", mlp: "mlp_bias" },
      rope: (layer, headDim) =>
        turns(layer) ? readRope(config, { headDim, defaultTheta: 2_000_000 }) : undefined,
      window: (layer) => (types[layer] === "sliding_attention" ? window : undefined),
    });
  },
};

function readTurningLayers(config: ConfigFields, layers: number): (layer: number) => boolean {
  const interval = config.count("no_rope_layer_interval", 4);
  const listed = config.list("no_rope_layers", layers);
  return (layer) => (listed === undefined ? (layer + 1) % interval !== 0 : Boolean(listed[layer]));
}
