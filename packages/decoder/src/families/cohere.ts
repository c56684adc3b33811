import type { ConfigFields } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { everyNthIsFull, readLayerTypes } from "./layer-types.js";
import { describeLlama, factor, type LlamaVariant } from "./llama-like.js";
import { layerNorm, ownHeadNorms, readLayers } from "./parts.js";
import { readRope } from "./read-rope.js";

/** Cohere's Command R: attention and MLP side by side after one LayerNorm, neighbouring numbers turn together. */
export const cohere: Family = {
  name: "Cohere",
  modelType: "cohere",
  describe: (config) =>
    describeLlama(config, {
      ...cohereVariant(config),
      rope: (_, shape) => readRope(config, shape, { defaultTheta: 500_000 }),
      ...(config.flag("use_qk_norm", false) ? { headNorms } : {}),
    }),
};

/** Command R7B and Command A: windows in three of four layers; full attention goes without rotation. */
export const cohere2: Family = {
  name: "Cohere 2",
  modelType: "cohere2",
  describe: (config) => {
    const window = config.nullableCount("sliding_window", 4096);
    const rule = everyNthIsFull(config.count("sliding_window_pattern", 4));
    const types = readLayerTypes(config, readLayers(config, "num_hidden_layers"), rule);
    const windowOf = (layer: number) => (types[layer] === "sliding_attention" ? window : undefined);
    return describeLlama(config, {
      ...cohereVariant(config),
      window: windowOf,
      rope: (layer, shape) => (windowOf(layer) === undefined ? undefined : readRope(config, shape)),
    });
  },
};

function cohereVariant(config: ConfigFields): LlamaVariant {
  const attention = config.flag("attention_bias", false);
  return {
    defaults: { tied: true, maxPositions: 8192 },
    epsilon: ["layer_norm_eps", 1e-5],
    norm: (name, epsilon) => layerNorm(name, epsilon, false),
    norms: oneInputNorm,
    arrangement: "parallel",
    biases: { projections: attention, output: attention, mlp: false },
    ropeLayout: "interleaved",
    logitFactor: factor(config, "logit_scale", 0.0625),
  };
}

const oneInputNorm: NonNullable<LlamaVariant["norms"]> = (_, norm) => ({
  attention: { input: norm("input_layernorm") },
  mlp: { input: norm("input_layernorm") },
});

const headNorms: NonNullable<LlamaVariant["headNorms"]> = (module, _, epsilon) => ({
  query: ownHeadNorms([`${module}.q_norm`], epsilon),
  key: ownHeadNorms([`${module}.k_norm`], epsilon),
  place: "before-rotation",
});
