import { type ConfigFields, positive } from "../config/config-fields.js";
import { alibiSlopes } from "../model/alibi.js";
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
import { dividedHeadDim, layerNorm, linear, readHeads, readLayers, refuse } from "./parts.js";

/** The epsilon of MPT's norms, which transformers reads from `layer_norm_epsilon`. */
const DEFAULT_EPSILON = 1e-5;

/** MPT: ALiBi, fused projections, LayerNorms and linear layers without biases. */
export const mpt: Family = {
  name: "MPT",
  modelType: "mpt",
  describe: (config) => {
    const attention = config.inside("attn_config");
    checkVariant(config, attention);
    const shape = readShape(config);
    const epsilon = config.number("layer_norm_epsilon", DEFAULT_EPSILON, positive);
    const slopes = alibiSlopes(shape.heads, attention.number("alibi_bias_max", 8, positive));
    const scale = attention.number("softmax_scale", 1 / Math.sqrt(shape.headDim), positive);
    return {
      shape,
      embedding: plainEmbedding("wte", shape.hiddenSize),
      blocks: eachLayer(shape.layers, (layer) => {
        const module = `blocks.${layer}`;
        return {
          arrangement: "sequential",
          ...inputNormsOf(
            layerNorm(`${module}.norm_1`, epsilon, false),
            layerNorm(`${module}.norm_2`, epsilon, false),
          ),
          attention: {
            ...plainAttention(shape),
            scale,
            alibiSlopes: slopes,
            projections: { layout: "contiguous", fused: linear(`${module}.attn.Wqkv`, false) },
            output: linear(`${module}.attn.out_proj`, false),
          },
          // transformers has four times the hidden size here, whatever `expansion_ratio` says.
          mlp: plainMlpSource(
            "gelu",
            4 * shape.hiddenSize,
            linear(`${module}.ffn.up_proj`, false),
            linear(`${module}.ffn.down_proj`, false),
          ),
        };
      }),
      head: plainHead(layerNorm("norm_f", epsilon, false), "lm_head", shape.tiedEmbeddings),
      standard: { kvHeads: undefined, biases: undefined },
      ...transformerPrefixes,
      ignoredTensors: undefined,
    };
  },
};

function checkVariant(config: ConfigFields, attention: ConfigFields): void {
  refuse(!attention.flag("alibi", true), "MPT", "attn_config.alibi false (learned positions)");
  refuse(attention.flag("qk_ln", false), "MPT", "attn_config.qk_ln");
  refuse(attention.flag("prefix_lm", false), "MPT", "attn_config.prefix_lm");
  refuse(attention.raw("clip_qkv") !== undefined, "MPT", "attn_config.clip_qkv");
  refuse(!config.flag("no_bias", true), "MPT", "no_bias false");
  refuse(config.raw("logit_scale") !== undefined, "MPT", "logit_scale");
  // Fields that transformers does not read either.
  attention.markRead(...Object.keys(attention.values));
  config.markRead("expansion_ratio", "learned_pos_emb", "norm_type", "embedding_fraction", "init_device");
  config.markRead("init_config", "tokenizer_name", "verbose");
}

function readShape(config: ConfigFields): ModelShape {
  const hiddenSize = config.count(["d_model", "hidden_size"]);
  const heads = readHeads(config, ["n_heads", "num_attention_heads"]);
  return {
    hiddenSize,
    layers: readLayers(config, ["n_layers", "num_hidden_layers"]),
    heads,
    kvHeads: heads,
    headDim: dividedHeadDim(hiddenSize, heads),
    vocabSize: config.count("vocab_size"),
    maxPositions: config.count("max_seq_len", 2048),
    tiedEmbeddings: config.flag("tie_word_embeddings", true),
  };
}
