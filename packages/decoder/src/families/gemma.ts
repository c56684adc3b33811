import type { ConfigFields } from "../config/config-fields.js";
import { positive } from "../config/config-fields.js";
import type { NormSource } from "../model/block-spec.js";
import type { Family } from "./family.js";
import { describeLlama, type LlamaVariant, sharedHeadNorms } from "./llama-like.js";
import { type LayerType, readLayerTypes, readRope, refuse, rmsNorm } from "./parts.js";

/** Gemma 2: norms before and after each half, soft caps, a window in every other layer. */
export const gemma2: Family = {
  name: "Gemma 2",
  modelType: "gemma2",
  describe: (config) => {
    const types = readTypes(config, (layer) => (layer % 2 === 0 ? "sliding_attention" : "full_attention"));
    return describeLlama(config, {
      ...gemmaVariant(config, "Gemma 2", types),
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
    config.markRead("_sliding_window_pattern");
    const pattern = config.count(["sliding_window_pattern", "_sliding_window_pattern"], 6);
    const types = readTypes(config, (layer) =>
      (layer + 1) % pattern === 0 ? "full_attention" : "sliding_attention",
    );
    return describeLlama(config, {
      ...gemmaVariant(config, "Gemma 3", types),
      headNorms: sharedHeadNorms(["q_norm", "k_norm"], "before-rotation", 1),
      rope: (layer, headDim) => readGemma3Rope(config, headDim, types[layer]!),
      softCap: config.nullable("attn_logit_softcapping", undefined),
      head: { softCap: config.nullable("final_logit_softcapping", undefined) },
      prefixes: ["", "language_model."],
    });
  },
};

const readTypes = (config: ConfigFields, rule: (layer: number) => LayerType): readonly LayerType[] =>
  readLayerTypes(config, config.count("num_hidden_layers"), rule);

function gemmaVariant(config: ConfigFields, name: string, types: readonly LayerType[]): LlamaVariant {
  refuse(config.flag("use_bidirectional_attention", false), name, "use_bidirectional_attention (an encoder)");
  const attention = config.flag("attention_bias", false);
  const window = config.nullable("sliding_window", 4096);
  return {
    headDim: 256,
    tiedByDefault: true,
    norm: (module, epsilon) => rmsNorm(module, epsilon, 1),
    norms: aroundBothHalves,
    biases: { projections: attention, output: attention, mlp: false },
    activation: [["hidden_activation", "hidden_act"], "gelu_pytorch_tanh"],
    embeddingScale: Math.sqrt(config.count("hidden_size")),
    scale: config.number("query_pre_attn_scalar", 256, positive) ** -0.5,
    window: (layer) => (types[layer] === "sliding_attention" ? window : undefined),
  };
}

const aroundBothHalves = (_: string, norm: (name: string) => NormSource) => ({
  attention: { input: norm("input_layernorm"), output: norm("post_attention_layernorm") },
  mlp: { input: norm("pre_feedforward_layernorm"), output: norm("post_feedforward_layernorm") },
});

/** Configs of before transformers 5 give both bases at the top; where they give none, these are the defaults. */
function readGemma3Rope(config: ConfigFields, headDim: number, layerType: LayerType) {
  const defaultTheta = layerType === "full_attention" ? 1_000_000 : 10_000;
  const isOld = config.raw("rope_parameters") === undefined;
  if (isOld && config.raw("rope_local_base_freq") === undefined && layerType === "sliding_attention")
    return { headDim, rotaryDim: headDim, theta: defaultTheta, ropeType: "default", scaling: {} } as const;
  return readRope(config, { headDim, layerType, defaultTheta });
}
