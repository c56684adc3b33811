import { type ConfigFields, notNegative } from "../config/config-fields.js";
import type { BlockSpec, ProjectionSource } from "../model/block-spec.js";
import type { ModelShape } from "../model/model-shape.js";
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
import {
  checkDivides,
  dividedHeadDim,
  layerNorm,
  linear,
  readActivation,
  readHeads,
  readLayers,
  refuse,
} from "./parts.js";
import { readRope } from "./read-rope.js";

/** Falcon 7B (one KV head, one norm) and its new decoder (40B, 180B, 11B: KV heads in groups, two norms). */
export const falcon: Family = {
  name: "Falcon",
  modelType: "falcon",
  describe: (config) => {
    refuse(config.flag("alibi", false), "Falcon", "alibi (the RefinedWeb models)");
    const isNew = config.flag("new_decoder_architecture", false);
    // Each is about one of the two kinds.
    config.markRead("parallel_attn", "multi_query", "num_ln_in_parallel_attn");
    const shape = readShape(config, isNew);
    const arrangement = isNew || config.flag("parallel_attn", true) ? "parallel" : "sequential";
    const hasTwoNorms = isNew
      ? config.count("num_ln_in_parallel_attn", 2) === 2
      : arrangement === "sequential";
    const epsilon = config.number("layer_norm_epsilon", 1e-5, notNegative);
    const bias = config.flag("bias", false);
    const activation = readActivation(config, "activation", "gelu");
    const width = config.count("ffn_hidden_size", 4 * shape.hiddenSize);
    const rope = readRope(config, shape);
    return {
      shape,
      embedding: plainEmbedding("word_embeddings", shape.hiddenSize),
      blocks: eachLayer(shape.layers, (layer) => ({
        arrangement,
        ...norms(`h.${layer}`, epsilon, { isNew, hasTwoNorms }),
        attention: {
          ...plainAttention(shape),
          rope,
          projections: projections(`h.${layer}.self_attention.query_key_value`, bias, isNew, shape),
          output: linear(`h.${layer}.self_attention.dense`, bias),
        },
        mlp: plainMlpSource(
          activation,
          width,
          linear(`h.${layer}.mlp.dense_h_to_4h`, bias),
          linear(`h.${layer}.mlp.dense_4h_to_h`, bias),
        ),
      })),
      head: plainHead(layerNorm("ln_f", epsilon), "lm_head", shape.tiedEmbeddings),
      standard: { kvHeads: isNew ? "num_kv_heads" : undefined, biases: undefined },
      ...transformerPrefixes,
      ignoredTensors: undefined,
    };
  },
};

interface NormLayout {
  readonly isNew: boolean;
  readonly hasTwoNorms: boolean;
}

function norms(
  module: string,
  epsilon: number,
  { isNew, hasTwoNorms }: NormLayout,
): Pick<BlockSpec, "attentionNorms" | "mlpNorms"> {
  const norm = (name: string) => layerNorm(`${module}.${name}`, epsilon);
  if (!hasTwoNorms) return inputNormsOf(norm("input_layernorm"), norm("input_layernorm"));
  return isNew
    ? inputNormsOf(norm("ln_attn"), norm("ln_mlp"))
    : inputNormsOf(norm("input_layernorm"), norm("post_attention_layernorm"));
}

/** The new decoder stores each KV head after the queries that read it; one KV head follows all queries either way. */
const projections = (
  name: string,
  bias: boolean,
  isNew: boolean,
  { heads, kvHeads }: ModelShape,
): ProjectionSource => ({
  layout: isNew || kvHeads === heads ? "grouped" : "contiguous",
  fused: linear(name, bias),
});

function readShape(config: ConfigFields, isNew: boolean): ModelShape {
  const hiddenSize = config.count(["n_embed", "hidden_size"]);
  const heads = readHeads(config, ["num_attention_heads", "n_head"]);
  const stated = config.count(["num_kv_heads", "n_head_kv"], heads);
  const kvHeads = isNew ? stated : config.flag("multi_query", true) ? 1 : heads;
  checkDivides(kvHeads, "KV heads", heads, "a query head count");
  return {
    hiddenSize,
    layers: readLayers(config, ["num_hidden_layers", "n_layer"]),
    heads,
    kvHeads,
    headDim: dividedHeadDim(hiddenSize, heads),
    vocabSize: config.count("vocab_size"),
    maxPositions: config.count("max_position_embeddings", 2048),
    tiedEmbeddings: config.flag("tie_word_embeddings", true),
  };
}
