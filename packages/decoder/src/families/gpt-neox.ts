import { notNegative } from "../config/config-fields.js";
import type { ModelShape } from "../model/model-shape.js";
import type { Family } from "./family.js";
import {
  eachLayer,
  inputNormsOf,
  plainAttention,
  plainEmbedding,
  plainHead,
  plainMlpSource,
} from "./gpt-like.js";
import { dividedHeadDim, layerNorm, linear, readActivation, readHeads, readLayers } from "./parts.js";
import { readRope } from "./read-rope.js";

/** GPT-NeoX (Pythia): fused projections head by head, partial rotation, attention and MLP side by side. */
export const gptNeox: Family = {
  name: "GPT-NeoX",
  modelType: "gpt_neox",
  describe: (config) => {
    const hiddenSize = config.count("hidden_size");
    const heads = readHeads(config, "num_attention_heads");
    const shape: ModelShape = {
      hiddenSize,
      layers: readLayers(config, "num_hidden_layers"),
      heads,
      kvHeads: heads,
      headDim: dividedHeadDim(hiddenSize, heads),
      vocabSize: config.count("vocab_size"),
      maxPositions: config.count("max_position_embeddings", 2048),
      tiedEmbeddings: config.flag("tie_word_embeddings", false),
    };
    const epsilon = config.number("layer_norm_eps", 1e-5, notNegative);
    const bias = config.flag("attention_bias", true);
    const activation = readActivation(config, "hidden_act", "gelu");
    const width = config.count("intermediate_size");
    // Versions 4.4x and 4.5x of transformers write both names.
    config.markRead("partial_rotary_factor");
    const rope = readRope(config, shape, {
      defaultShare: 0.25,
      names: { theta: "rotary_emb_base", share: "rotary_pct" },
    });
    const arrangement = config.flag("use_parallel_residual", true) ? "parallel" : "sequential";
    return {
      shape,
      embedding: plainEmbedding("gpt_neox.embed_in", hiddenSize),
      blocks: eachLayer(shape.layers, (layer) => {
        const module = `gpt_neox.layers.${layer}`;
        return {
          arrangement,
          ...inputNormsOf(
            layerNorm(`${module}.input_layernorm`, epsilon),
            layerNorm(`${module}.post_attention_layernorm`, epsilon),
          ),
          attention: {
            ...plainAttention(shape),
            rope,
            projections: { layout: "grouped", fused: linear(`${module}.attention.query_key_value`, bias) },
            output: linear(`${module}.attention.dense`, bias),
          },
          mlp: plainMlpSource(
            activation,
            width,
            linear(`${module}.mlp.dense_h_to_4h`, true),
            linear(`${module}.mlp.dense_4h_to_h`, true),
          ),
        };
      }),
      head: plainHead(layerNorm("gpt_neox.final_layer_norm", epsilon), "embed_out", shape.tiedEmbeddings),
      standard: { kvHeads: undefined, biases: undefined },
      prefixes: [""],
      ignoredTensors: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
    };
  },
};
