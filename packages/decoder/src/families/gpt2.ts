import { type ConfigFields, notNegative } from "../config/config-fields.js";
import type { AttentionSource } from "../model/block-spec.js";
import type { ModelShape } from "../model/model-shape.js";
import type { ModelSpec } from "../model/model-spec.js";
import type { Family } from "./family.js";
import {
  eachLayer,
  inputNormsOf,
  plainAttention,
  plainEmbedding,
  plainHead,
  plainMlpSource,
  transformerPrefixes,
} from "./gpt-like.js";
import { dividedHeadDim, layerNorm, linear, readActivation, readHeads, readLayers } from "./parts.js";

/** GPT-2: learned positions, fused projections, weights stored `[inputs, outputs]`. */
export const gpt2: Family = {
  name: "GPT-2",
  modelType: "gpt2",
  describe: (config) => {
    const dividesByLayer = config.flag("scale_attn_by_inverse_layer_idx", false);
    return describeGpt(config, { order: "inputs-first", kvHeads: undefined, dividesByLayer });
  },
};

/** GPT-BigCode (StarCoder, SantaCoder): GPT-2 with one KV head, weights stored as usual. */
export const gptBigcode: Family = {
  name: "GPT-BigCode",
  modelType: "gpt_bigcode",
  describe: (config) => {
    const kvHeads = config.flag("multi_query", true) ? 1 : undefined;
    config.markRead(
      "num_key_value_heads",
      "attention_softmax_in_fp32",
      "scale_attention_softmax_in_fp32",
      ...SERVING_FIELDS,
    );
    return describeGpt(config, { order: undefined, kvHeads, dividesByLayer: false });
  },
};

/** What StarCoder's first server was told; transformers does not read them. */
const SERVING_FIELDS = [
  "inference_runner",
  "max_batch_size",
  "max_sequence_length",
  "pad_key_length",
  "pre_allocate_kv_cache",
  "runner_max_sequence_length",
  "validate_runner_input",
];

interface GptOptions {
  readonly order: "inputs-first" | undefined;
  readonly kvHeads: number | undefined;
  /** Scores of layer `n`, counted from 1, are divided by `n` once more. */
  readonly dividesByLayer: boolean;
}

function describeGpt(config: ConfigFields, { order, kvHeads, dividesByLayer }: GptOptions): ModelSpec {
  const shape = readShape(config, kvHeads);
  const epsilon = config.number("layer_norm_epsilon", 1e-5, notNegative);
  const activation = readActivation(config, "activation_function", "gelu_pytorch_tanh");
  const width = config.count("n_inner", 4 * shape.hiddenSize);
  const isPlain = config.flag("scale_attn_weights", true);
  config.markRead("add_cross_attention", "reorder_and_upcast_attn");
  const attention = (layer: number): AttentionSource => ({
    ...plainAttention(shape),
    scale: (isPlain ? 1 / Math.sqrt(shape.headDim) : 1) / (dividesByLayer ? layer + 1 : 1),
    projections: {
      // Without multi-query, GPT-BigCode lays heads out one by one.
      layout: order === undefined && kvHeads === undefined ? "grouped" : "contiguous",
      fused: linear(`h.${layer}.attn.c_attn`, true, { order }),
    },
    output: linear(`h.${layer}.attn.c_proj`, true, { order }),
  });
  return {
    shape,
    embedding: {
      ...plainEmbedding("wte", shape.hiddenSize),
      positions: { name: "wpe", offset: 0, rows: shape.maxPositions },
    },
    blocks: eachLayer(shape.layers, (layer) => ({
      arrangement: "sequential",
      ...inputNormsOf(layerNorm(`h.${layer}.ln_1`, epsilon), layerNorm(`h.${layer}.ln_2`, epsilon)),
      attention: attention(layer),
      mlp: plainMlpSource(
        activation,
        width,
        linear(`h.${layer}.mlp.c_fc`, true, { order }),
        linear(`h.${layer}.mlp.c_proj`, true, { order }),
      ),
    })),
    head: plainHead(layerNorm("ln_f", epsilon), "lm_head", shape.tiedEmbeddings),
    standard: { kvHeads: undefined, biases: undefined },
    ...transformerPrefixes,
    // Causal masks, which old checkpoints save with the weights.
    ignoredTensors: /\.attn\.(bias|masked_bias)$/,
  };
}

function readShape(config: ConfigFields, kvHeads: number | undefined): ModelShape {
  const hiddenSize = config.count(["n_embd", "hidden_size"]);
  const heads = readHeads(config, ["n_head", "num_attention_heads"]);
  return {
    hiddenSize,
    layers: readLayers(config, ["n_layer", "num_hidden_layers"]),
    heads,
    kvHeads: kvHeads ?? heads,
    headDim: dividedHeadDim(hiddenSize, heads),
    vocabSize: config.count("vocab_size"),
    maxPositions: config.count(["n_positions", "max_position_embeddings"], 1024),
    tiedEmbeddings: config.flag("tie_word_embeddings", true),
  };
}
