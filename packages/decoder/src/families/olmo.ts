import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { everyNthIsFull, readLayerTypes } from "./layer-types.js";
import { describeLlama, type LlamaVariant, outputNorms } from "./llama-like.js";
import { readLayers, wholeNorm } from "./parts.js";
import { readLayerRope } from "./read-rope.js";

/** OLMo 2: norms of what each half adds, and of all queries and all keys of a layer at once. */
export const olmo2: Family = {
  name: "OLMo 2",
  modelType: "olmo2",
  describe: (config) => describeLlama(config, olmoVariant(config)),
};

/** OLMo 3: OLMo 2 with windows in three of four layers. */
export const olmo3: Family = {
  name: "OLMo 3",
  modelType: "olmo3",
  describe: (config) => {
    const window = config.nullableCount("sliding_window", 4096);
    const types = readLayerTypes(config, readLayers(config, "num_hidden_layers"), everyNthIsFull(4));
    return describeLlama(config, {
      ...olmoVariant(config),
      window: (layer) => (types[layer] === "sliding_attention" ? window : undefined),
      rope: (layer, shape) =>
        readLayerRope(config, shape, {
          layerType: types[layer]!,
          thetaField: "rope_theta",
          defaultTheta: 500_000,
        }),
    });
  },
};

function olmoVariant(config: ConfigFields): LlamaVariant {
  const attention = config.flag("attention_bias", false);
  return {
    epsilon: ["rms_norm_eps", 1e-5],
    biases: { projections: attention, output: attention, mlp: false },
    norms: outputNorms,
    headNorms: (module, _, epsilon) => ({
      query: wholeNorm(`${module}.q_norm`, epsilon),
      key: wholeNorm(`${module}.k_norm`, epsilon),
      place: "before-rotation",
    }),
  };
}
