import { type ConfigFields, notNegative } from "../config/config-fields.js";
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

/** What the training code was told; transformers does not read them. */
const TRAINING_FIELDS = [
  "attention_softmax_in_fp32",
  "bias_dropout_fusion",
  "masked_softmax_fusion",
  "offset_alibi",
  "skip_bias_add",
  "skip_bias_add_qkv",
];

/** Context length to report where a config names none: ALiBi needs no table. */
const DEFAULT_MAX_POSITIONS = 2048;

/** BLOOM: LayerNorm with biases, ALiBi, fused projections head by head, GELU (tanh form), normalised embeddings. */
export const bloom: Family = {
  name: "BLOOM",
  modelType: "bloom",
  describe: (config) => {
    refuse(
      config.flag("apply_residual_connection_post_layernorm", false),
      "BLOOM",
      "apply_residual_connection_post_layernorm (only the residual before the norm is implemented)",
    );
    // How the original code split its products over GPUs; the result is the same.
    config.markRead("pretraining_tp", "slow_but_exact", ...TRAINING_FIELDS);
    const shape = readShape(config);
    const epsilon = config.number("layer_norm_epsilon", 1e-5, notNegative);
    const slopes = alibiSlopes(shape.heads);
    return {
      shape,
      embedding: {
        ...plainEmbedding("word_embeddings", shape.hiddenSize),
        norm: layerNorm("word_embeddings_layernorm", epsilon),
      },
      blocks: eachLayer(shape.layers, (layer) => ({
        arrangement: "sequential",
        ...inputNormsOf(
          layerNorm(`h.${layer}.input_layernorm`, epsilon),
          layerNorm(`h.${layer}.post_attention_layernorm`, epsilon),
        ),
        attention: {
          ...plainAttention(shape),
          alibiSlopes: slopes,
          projections: {
            layout: "grouped",
            fused: linear(`h.${layer}.self_attention.query_key_value`, true),
          },
          output: linear(`h.${layer}.self_attention.dense`, true),
        },
        mlp: plainMlpSource(
          "gelu_pytorch_tanh",
          4 * shape.hiddenSize,
          linear(`h.${layer}.mlp.dense_h_to_4h`, true),
          linear(`h.${layer}.mlp.dense_4h_to_h`, true),
        ),
      })),
      head: plainHead(layerNorm("ln_f", epsilon), "lm_head", shape.tiedEmbeddings),
      standard: { kvHeads: undefined, biases: undefined },
      ...transformerPrefixes,
      ignoredTensors: undefined,
    };
  },
};

function readShape(config: ConfigFields): ModelShape {
  const hiddenSize = config.count(["n_embed", "hidden_size"]);
  const heads = readHeads(config, ["n_head", "num_attention_heads"]);
  return {
    hiddenSize,
    layers: readLayers(config, ["n_layer", "num_hidden_layers"]),
    heads,
    kvHeads: heads,
    headDim: dividedHeadDim(hiddenSize, heads),
    vocabSize: config.count("vocab_size"),
    maxPositions: config.count("seq_length", DEFAULT_MAX_POSITIONS),
    tiedEmbeddings: config.flag("tie_word_embeddings", true),
  };
}
