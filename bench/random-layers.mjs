/** Layers with random weights, for benchmarks: only their shapes matter. */
import { createDecoderGraph, deltaForm, readConfig } from "@kvfold/decoder";

/** Slots of a chunk by a pair's frequency, as folds choose them: long ones for pairs that turn slowly. */
export const byFrequency = (smallest, phi) => (frequency) => {
  let slots = smallest;
  while (4 * slots <= Math.min(64, phi / frequency)) slots *= 4;
  return slots;
};
let seed = 1;
/** Numbers that are random enough: none is so small that a processor slows down. */
export const random = (length) =>
  Float32Array.from({ length }, () => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return (seed / 2147483648 - 0.5) / 8;
  });
export const linear = (inputs, outputs) => ({
  inputs,
  outputs,
  weight: random(inputs * outputs),
  bias: undefined,
});

/** A Llama of this shape. */
export const configOf = ({ heads, kvHeads, headDim, theta, hidden, mlp, layers, vocabulary, positions }) =>
  readConfig(
    JSON.stringify({
      model_type: "llama",
      hidden_size: hidden,
      intermediate_size: mlp,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      head_dim: headDim,
      max_position_embeddings: positions,
      rms_norm_eps: 1e-5,
      rope_theta: theta,
      vocab_size: vocabulary,
      hidden_act: "silu",
    }),
  );

/** A layer that is not folded. */
export function originalLayer(config) {
  const { heads, kvHeads, headDim } = config.shape;
  const { attention } = config.blocks[0];
  const cache = { heads: kvHeads, size: headDim };
  return {
    ...attention,
    keys: cache,
    values: cache,
    query: linear(config.shape.hiddenSize, heads * headDim),
    key: linear(config.shape.hiddenSize, kvHeads * headDim),
    value: linear(config.shape.hiddenSize, kvHeads * headDim),
    output: linear(heads * headDim, config.shape.hiddenSize),
    queryNorm: undefined,
    keyNorm: undefined,
    rotated: undefined,
  };
}

/** Share of the original's cache that folded layers have. */
const SHARE = 1 / 4;

export const rankOf = ({ kvHeads, headDim }, groups, share = SHARE) =>
  (2 * kvHeads * headDim * share) / groups;

export function latentLayer(config, groups, share = SHARE) {
  const { heads, kvHeads, headDim } = config.shape;
  const size = rankOf(config.shape, groups, share) / 2;
  const cache = { heads: groups, size };
  return {
    ...originalLayer(config),
    keys: cache,
    values: cache,
    value: linear(config.shape.hiddenSize, groups * size),
    output: linear(heads * size, config.shape.hiddenSize),
    rotated: { encode: random(kvHeads * headDim * size), decode: random(heads * headDim * size) },
  };
}

export function jointLayer(config, groups, chunkOf) {
  const { heads, kvHeads, headDim } = config.shape;
  const rank = rankOf(config.shape, groups);
  const half = { heads: groups, size: rank / 2 };
  const { theta } = config.blocks[0].attention.rope;
  const chunks = Array.from({ length: headDim / 2 }, (_, pair) => chunkOf(theta ** ((-2 * pair) / headDim)));
  return {
    ...originalLayer(config),
    keys: half,
    values: half,
    value: linear(config.shape.hiddenSize, groups * rank),
    joint: {
      chunks,
      encodeKeys: random(kvHeads * headDim * rank),
      decodeKeys: random(kvHeads * headDim * rank),
      decodeValues: random(heads * rank * headDim),
    },
  };
}

/** A decoder whose blocks all have this attention, as a model in memory. */
export function decoderOf(config, attention, form = deltaForm) {
  const externalData = [];
  const store = (_, { bytes }) => {
    if (bytes.byteLength <= 256) return undefined;
    const path = `weight-${externalData.length}`;
    externalData.push({ path, data: bytes });
    return { path, offset: 0, byteLength: bytes.byteLength };
  };
  return { bytes: decoderGraph(config, attention, { form, dtype: "fp32", store }), externalData };
}

/** The same as a graph whose weights go to `store`; all blocks have the same ones. */
export function decoderGraph(config, attention, { form, dtype, store }) {
  const { hiddenSize, vocabSize, maxPositions } = config.shape;
  const mlp = config.blocks[0].mlp.width;
  const graph = createDecoderGraph({
    config,
    embedding: { table: random(vocabSize * hiddenSize) },
    form,
    dtype,
    maxPositions,
    weights: { store },
  });
  const block = {
    arrangement: "sequential",
    attentionNorms: {},
    attention,
    mlpNorms: {},
    mlp: {
      activation: "silu",
      gate: linear(hiddenSize, mlp),
      up: linear(hiddenSize, mlp),
      down: linear(mlp, hiddenSize),
    },
  };
  for (const _ of config.blocks) graph.addBlock(block);
  return graph.finish({ norm: undefined, projection: undefined, table: undefined, bias: undefined });
}
