import type { ConfigFields } from "../config/config-fields.js";
import { positive } from "../config/config-fields.js";
import type { NormSource } from "../model/block-spec.js";
import type { Family } from "./family.js";
import { everyNthIsFull, type LayerType, readLayerTypes } from "./layer-types.js";
import { describeLlama, type LlamaVariant, sharedHeadNorms } from "./llama-like.js";
import { readLayers, refuse, rmsNorm } from "./parts.js";
import { readLayerRope } from "./read-rope.js";

/** Gemma 1: Llama with scaled embeddings and norms that store `w - 1`. */
export const gemma: Family = {
  name: "Gemma",
  modelType: "gemma",
  describe: (config) => {
    refuseEncoder(config, "Gemma");
    // Configs have both names; transformers reads `hidden_act`.
    config.markRead("hidden_activation");
    return describeLlama(config, {
      ...commonVariant(config),
      defaults: { ...defaults, kvHeads: 16, maxPositions: 8192 },
      activation: ["hidden_act", "gelu_pytorch_tanh"],
    });
  },
};

/** Gemma 2: norms before and after each half, soft caps, a window in every other layer. */
export const gemma2: Family = {
  name: "Gemma 2",
  modelType: "gemma2",
  describe: (config) => {
    const types = readTypes(config, everyNthIsFull(2));
    return describeLlama(config, {
      ...gemmaVariant(config, "Gemma 2", types),
      defaults: { ...defaults, maxPositions: 8192 },
      softCap: config.nullable("attn_logit_softcapping", 50),
      head: { softCap: config.nullable("final_logit_softcapping", 30) },
    });
  },
};

/** Gemma 3 (text): norms of heads, windows in most layers, which turn on a RoPE base of their own. */
export const gemma3: Family = {
  name: "Gemma 3",
  modelType: "gemma3_text",
  describe: (config) => {
    // What transformers 5 writes beside the list of layers, and the bases of kinds that no layer has.
    config.markRead("_sliding_window_pattern", "rope_theta", "rope_local_base_freq");
    const types = readTypes(config, everyNthIsFull(config.count("sliding_window_pattern", 6)));
    return describeLlama(config, {
      ...gemmaVariant(config, "Gemma 3", types),
      defaults: { ...defaults, maxPositions: 131_072 },
      headNorms: sharedHeadNorms(["q_norm", "k_norm"], "before-rotation", 1),
      rope: (layer, shape) => readLayerRope(config, shape, ropeOf[types[layer]!]),
      softCap: config.nullable("attn_logit_softcapping", undefined),
      head: { softCap: config.nullable("final_logit_softcapping", undefined) },
      prefixes: ["", "language_model."],
    });
  },
};

const defaults = { tied: true, headDim: 256, kvHeads: 4 };

/** Windows turn faster than full attention, which sees further. */
const ropeOf: Readonly<Record<LayerType, readLayerRope.Options>> = {
  full_attention: { layerType: "full_attention", thetaField: "rope_theta", defaultTheta: 1_000_000 },
  sliding_attention: {
    layerType: "sliding_attention",
    thetaField: "rope_local_base_freq",
    defaultTheta: 10_000,
  },
};

const readTypes = (config: ConfigFields, rule: (layer: number) => LayerType): readonly LayerType[] =>
  readLayerTypes(config, readLayers(config, "num_hidden_layers"), rule);

function gemmaVariant(config: ConfigFields, name: string, types: readonly LayerType[]): LlamaVariant {
  refuseEncoder(config, name);
  // Configs have both names; transformers reads the first.
  if (config.raw("hidden_activation") !== undefined) config.markRead("hidden_act");
  const window = config.nullableCount("sliding_window", 4096);
  return {
    ...commonVariant(config),
    norms: aroundBothHalves,
    activation: ["hidden_activation", "gelu_pytorch_tanh"],
    scale: config.number("query_pre_attn_scalar", 256, positive) ** -0.5,
    window: (layer) => (types[layer] === "sliding_attention" ? window : undefined),
  };
}

/** What all three have in common. */
function commonVariant(config: ConfigFields): LlamaVariant {
  const attention = config.flag("attention_bias", false);
  return {
    norm: (module, epsilon) => rmsNorm(module, epsilon, 1),
    biases: { projections: attention, output: attention, mlp: false },
    embeddingScale: Math.sqrt(config.count("hidden_size")),
  };
}

function refuseEncoder(config: ConfigFields, name: string): void {
  const isEncoder = config.flag("use_bidirectional_attention", false);
  refuse(isEncoder, name, "use_bidirectional_attention (an encoder)");
}

const aroundBothHalves = (_: string, norm: (name: string) => NormSource) => ({
  attention: { input: norm("input_layernorm"), output: norm("post_attention_layernorm") },
  mlp: { input: norm("pre_feedforward_layernorm"), output: norm("post_feedforward_layernorm") },
});
