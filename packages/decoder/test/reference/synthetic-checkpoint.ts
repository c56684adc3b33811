/** Small random models of every family, as the files that Hugging Face would write. */

import { gaussians } from "@kvfold/runtime";
import { bytesSource, type EncodedDtype, encodeFloats, serializeSafetensors } from "@kvfold/safetensors";
import { type Checkpoint, type FolderSource, openCheckpoint } from "../../src/index.js";

/** Files of a checkpoint by name. */
export type Files = Map<string, string | Uint8Array>;

/** Shape of each tensor by name, and how its random numbers are spread around a centre. */
type TensorShapes = Map<
  string,
  { readonly shape: readonly number[]; readonly centre: number; readonly spread: number }
>;

export declare namespace syntheticFiles {
  interface Options {
    readonly config: Readonly<Record<string, unknown>>;
    readonly dtype?: EncodedDtype;
    readonly shards?: number;
    readonly seed?: number;
  }
}

/** A checkpoint in memory: `config.json`, and weights in one file or in shards with an index. */
export function syntheticFiles({
  config,
  dtype = "F32",
  shards = 1,
  seed = 1,
}: syntheticFiles.Options): Files {
  const next = gaussians(seed);
  const shapes = config.model_type === "bloom" ? bloomTensors(config) : llamaTensors(config);
  const tensors = [...shapes].map(([name, { shape, centre, spread }]) => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length: count }, () => centre + spread * next());
    return { name, dtype, shape, data: encodeFloats(values, dtype) };
  });
  const files: Files = new Map([["config.json", JSON.stringify(config)]]);
  if (shards === 1) return files.set("model.safetensors", serializeSafetensors(tensors));
  const shardName = (shard: number) => `model-0000${shard + 1}-of-0000${shards}.safetensors`;
  for (let shard = 0; shard < shards; shard++) {
    const own = tensors.filter((_, index) => index % shards === shard);
    files.set(shardName(shard), serializeSafetensors(own));
  }
  const map = tensors.map(({ name }, index) => [name, shardName(index % shards)]);
  return files.set("model.safetensors.index.json", JSON.stringify({ weight_map: Object.fromEntries(map) }));
}

/** Files in memory as a checkpoint's folder. */
export function memoryFolder(files: Files): FolderSource {
  return {
    name: "memory",
    readText: async (file) => files.get(file) as string | undefined,
    openBytes: async (file) => {
      const bytes = files.get(file);
      return bytes === undefined ? undefined : bytesSource(bytes as Uint8Array);
    },
  };
}

/** Writes a random model and opens it. */
export function syntheticCheckpoint(options: syntheticFiles.Options): Promise<Checkpoint> {
  return openCheckpoint(memoryFolder(syntheticFiles(options)));
}

/** Two layers, heads of 16 beside a hidden size of 32: no size follows from the others. */
export const tinyLlama: Readonly<Record<string, unknown>> = {
  model_type: "llama",
  hidden_size: 32,
  intermediate_size: 56,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  head_dim: 16,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  vocab_size: 61,
  hidden_act: "silu",
  tie_word_embeddings: false,
};

/** Six heads, so that ALiBi's slopes are no plain geometric series. */
export const tinyBloom: Readonly<Record<string, unknown>> = {
  model_type: "bloom",
  hidden_size: 48,
  n_layer: 2,
  n_head: 6,
  vocab_size: 61,
  layer_norm_epsilon: 1e-5,
  seq_length: 128,
};

function llamaTensors(config: Readonly<Record<string, unknown>>): TensorShapes {
  const number = (field: string) => config[field] as number;
  const [width, inner, vocabulary] = [
    number("hidden_size"),
    number("intermediate_size"),
    number("vocab_size"),
  ];
  const queries = number("num_attention_heads") * number("head_dim");
  const cache = number("num_key_value_heads") * number("head_dim");
  const tensors: TensorShapes = new Map([
    ["model.embed_tokens.weight", weight([vocabulary, width], 1)],
    ["model.norm.weight", normWeight(width)],
  ]);
  if (config.tie_word_embeddings !== true) tensors.set("lm_head.weight", weight([vocabulary, width], 1));
  for (let layer = 0; layer < number("num_hidden_layers"); layer++) {
    const at = `model.layers.${layer}`;
    tensors.set(`${at}.input_layernorm.weight`, normWeight(width));
    // Twice the usual size: scores with a spread of about 4, so that attention is far from uniform.
    tensors.set(`${at}.self_attn.q_proj.weight`, linearWeight(queries, width, 2));
    tensors.set(`${at}.self_attn.k_proj.weight`, linearWeight(cache, width, 2));
    tensors.set(`${at}.self_attn.v_proj.weight`, linearWeight(cache, width, 1));
    tensors.set(`${at}.self_attn.o_proj.weight`, linearWeight(width, queries, 1));
    if (config.model_type === "qwen2") {
      tensors.set(`${at}.self_attn.q_proj.bias`, weight([queries], 0.5));
      tensors.set(`${at}.self_attn.k_proj.bias`, weight([cache], 0.5));
      tensors.set(`${at}.self_attn.v_proj.bias`, weight([cache], 0.5));
    }
    tensors.set(`${at}.post_attention_layernorm.weight`, normWeight(width));
    tensors.set(`${at}.mlp.gate_proj.weight`, linearWeight(inner, width, 1));
    tensors.set(`${at}.mlp.up_proj.weight`, linearWeight(inner, width, 1));
    tensors.set(`${at}.mlp.down_proj.weight`, linearWeight(width, inner, 1));
  }
  return tensors;
}

function bloomTensors(config: Readonly<Record<string, unknown>>): TensorShapes {
  const [width, vocabulary] = [config.hidden_size as number, config.vocab_size as number];
  const tensors: TensorShapes = new Map([
    ["transformer.word_embeddings.weight", weight([vocabulary, width], 1)],
  ]);
  const norm = (name: string) => {
    tensors.set(`transformer.${name}.weight`, normWeight(width));
    tensors.set(`transformer.${name}.bias`, weight([width], 0.2));
  };
  const linear = (name: string, outputs: number, inputs: number, gain: number) => {
    tensors.set(`transformer.${name}.weight`, linearWeight(outputs, inputs, gain));
    tensors.set(`transformer.${name}.bias`, weight([outputs], 0.2));
  };
  norm("word_embeddings_layernorm");
  for (let layer = 0; layer < (config.n_layer as number); layer++) {
    norm(`h.${layer}.input_layernorm`);
    linear(`h.${layer}.self_attention.query_key_value`, 3 * width, width, 1.5);
    linear(`h.${layer}.self_attention.dense`, width, width, 1);
    norm(`h.${layer}.post_attention_layernorm`);
    linear(`h.${layer}.mlp.dense_h_to_4h`, 4 * width, width, 1);
    linear(`h.${layer}.mlp.dense_4h_to_h`, width, 4 * width, 1);
  }
  norm("ln_f");
  return tensors;
}

const weight = (shape: readonly number[], spread: number) => ({ shape, centre: 0, spread });
const normWeight = (width: number) => ({ shape: [width], centre: 1, spread: 0.2 });
/** Keeps the size of what passes through, times `gain`. */
const linearWeight = (outputs: number, inputs: number, gain: number) =>
  weight([outputs, inputs], gain / Math.sqrt(inputs));
