import type { ConfigFields } from "../config/config-fields.js";
import type { BlockSpec, NormSource } from "../model/block-spec.js";
import type { ModelShape } from "../model/model-shape.js";
import type { Family } from "./family.js";
import { eachLayer, plainAttention, plainEmbedding, plainHead, plainMlpSource } from "./gpt-like.js";
import {
  dividedHeadDim,
  layerNorm,
  linear,
  readActivation,
  readHeads,
  readLayers,
  refuse,
  splitProjections,
} from "./parts.js";

/** PyTorch's own epsilon: OPT's config has none. */
const EPSILON = 1e-5;

/** Learned positions start at row 2: rows 0 and 1 stood for padding in fairseq. */
const POSITION_OFFSET = 2;

/** OPT: learned positions, ReLU; its 350m has norms after the residuals and narrower embeddings. */
export const opt: Family = {
  name: "OPT",
  modelType: "opt",
  describe: (config) => {
    refuse(!config.flag("layer_norm_elementwise_affine", true), "OPT", "layer_norm_elementwise_affine false");
    const shape = readShape(config);
    const bias = config.flag("enable_bias", true);
    const activation = readActivation(config, "activation_function", "relu");
    const inner = config.count("ffn_dim");
    const before = config.flag("do_layer_norm_before", true);
    config.markRead("_remove_final_layer_norm");
    const width = config.count("word_embed_proj_dim", shape.hiddenSize);
    const hasFinalNorm = before && !config.flag("_remove_final_layer_norm", false);
    const isNarrow = width !== shape.hiddenSize;
    const norm = (name: string): NormSource => layerNorm(name, EPSILON);
    return {
      shape,
      embedding: {
        ...plainEmbedding("decoder.embed_tokens", width),
        positions: {
          name: "decoder.embed_positions",
          offset: POSITION_OFFSET,
          rows: shape.maxPositions + POSITION_OFFSET,
        },
        projection: isNarrow ? linear("decoder.project_in", false) : undefined,
      },
      blocks: eachLayer(shape.layers, (layer) => {
        const module = `decoder.layers.${layer}`;
        return {
          arrangement: "sequential",
          ...halfNorms(before, norm(`${module}.self_attn_layer_norm`), norm(`${module}.final_layer_norm`)),
          attention: {
            ...plainAttention(shape),
            projections: splitProjections(`${module}.self_attn`, bias),
            output: linear(`${module}.self_attn.out_proj`, bias),
          },
          mlp: plainMlpSource(
            activation,
            inner,
            linear(`${module}.fc1`, bias),
            linear(`${module}.fc2`, bias),
          ),
        };
      }),
      head: {
        ...plainHead(
          hasFinalNorm ? norm("decoder.final_layer_norm") : undefined,
          "lm_head",
          shape.tiedEmbeddings,
        ),
        projection: isNarrow ? linear("decoder.project_out", false) : undefined,
      },
      standard: { kvHeads: undefined, biases: undefined },
      prefixes: ["model.", ""],
      ignoredTensors: undefined,
    };
  },
};

const halfNorms = (
  before: boolean,
  attention: NormSource,
  mlp: NormSource,
): Pick<BlockSpec, "attentionNorms" | "mlpNorms"> =>
  before
    ? { attentionNorms: { input: attention }, mlpNorms: { input: mlp } }
    : { attentionNorms: { residual: attention }, mlpNorms: { residual: mlp } };

function readShape(config: ConfigFields): ModelShape {
  const hiddenSize = config.count("hidden_size");
  const heads = readHeads(config, "num_attention_heads");
  return {
    hiddenSize,
    layers: readLayers(config, "num_hidden_layers"),
    heads,
    kvHeads: heads,
    headDim: dividedHeadDim(hiddenSize, heads),
    vocabSize: config.count("vocab_size"),
    maxPositions: config.count("max_position_embeddings", 2048),
    tiedEmbeddings: config.flag("tie_word_embeddings", true),
  };
}
