/** Checkpoints of random weights: small, with a norm's around one, as at the start of training. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gaussians } from "@kvfold/runtime";
import { encodeFloats } from "@kvfold/safetensors";
import { writeSafetensorsFile } from "@kvfold/safetensors/node";

/** A table of numbers that all tensors are cut from: a billion good ones would take minutes. Its length is a prime. */
const TABLE = 65521;

function bfloat16Values(mean, deviation) {
  const random = gaussians(1);
  const values = Float32Array.from({ length: TABLE }, () => mean + deviation * random());
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < TABLE; i++) bits[i] &= 0xffff0000;
  return values;
}

const WEIGHTS = bfloat16Values(0, 0.02);
const NORMS = bfloat16Values(1, 0.02);

const halves = (values, dtype) => new Uint16Array(encodeFloats(values, dtype).buffer);

function repeat(table, count) {
  const values = new Uint16Array(count);
  values.set(table.subarray(0, count));
  for (let filled = TABLE; filled < count; filled *= 2) values.copyWithin(filled, 0, filled);
  return new Uint8Array(values.buffer);
}

/** Names and shapes of a block's tensors, `[out, in]`. */
function blockTensors(config, index) {
  const { model_type: type, hidden_size: d, intermediate_size: m } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: size = d / heads } = config;
  const [queries, keys] = [heads * size, kvHeads * size];
  const at = (name) => `model.layers.${index}.${name}`;
  const linear = (name, columns, rows, bias = false) => [
    [at(`${name}.weight`), [columns, rows]],
    ...(bias ? [[at(`${name}.bias`), [columns]]] : []),
  ];
  const norms = [
    ["input_layernorm", d],
    ["post_attention_layernorm", d],
    ...(type === "gemma3_text"
      ? [
          ["pre_feedforward_layernorm", d],
          ["post_feedforward_layernorm", d],
        ]
      : []),
    ...(type === "gemma3_text" || type === "qwen3"
      ? [
          ["self_attn.q_norm", size],
          ["self_attn.k_norm", size],
        ]
      : []),
  ];
  const projections =
    type === "phi3"
      ? [...linear("self_attn.qkv_proj", queries + 2 * keys, d), ...linear("mlp.gate_up_proj", 2 * m, d)]
      : [
          ...linear("self_attn.q_proj", queries, d, type === "qwen2"),
          ...linear("self_attn.k_proj", keys, d, type === "qwen2"),
          ...linear("self_attn.v_proj", keys, d, type === "qwen2"),
          ...linear("mlp.gate_proj", m, d),
          ...linear("mlp.up_proj", m, d),
        ];
  return [
    ...norms.map(([name, width]) => [at(`${name}.weight`), [width]]),
    ...projections,
    ...linear("self_attn.o_proj", d, queries),
    ...linear("mlp.down_proj", d, m),
  ];
}

function modelTensors(config) {
  const { hidden_size: d, vocab_size: vocabulary, num_hidden_layers: layers } = config;
  const tied = config.tie_word_embeddings ?? config.model_type === "gemma3_text";
  return [
    ["model.embed_tokens.weight", [vocabulary, d]],
    ...Array.from({ length: layers }, (_, index) => blockTensors(config, index)).flat(),
    ["model.norm.weight", [d]],
    ...(tied ? [] : [["lm_head.weight", [vocabulary, d]]]),
  ];
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** Writes a checkpoint of random weights in `dtype`, BF16 or F16, and returns how many there are. */
export async function writeCheckpoint(folder, config, dtype = "BF16") {
  const [weights, norms] = [WEIGHTS, NORMS].map((values) => halves(values, dtype));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(byteTokenizer(config.vocab_size)));
  const named = modelTensors(config);
  const isNorm = (name) => name.endsWith("norm.weight");
  const tensors = named.map(([name, shape]) => ({
    name,
    dtype,
    shape,
    // Gemma adds one to the weights of its norms.
    data: () => repeat(isNorm(name) && config.model_type !== "gemma3_text" ? norms : weights, sizeOf(shape)),
  }));
  await writeSafetensorsFile(join(folder, "model.safetensors"), tensors, { format: "pt" });
  return named.reduce((total, [, shape]) => total + sizeOf(shape), 0);
}

/** A token for every byte, and filling up to the size of the vocabulary. */
function byteTokenizer(vocabulary) {
  const bytes = byteCharacters();
  const filling = Array.from({ length: vocabulary - bytes.length }, (_, index) => `<${index}>`);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...bytes, ...filling].map((token, id) => [token, id])),
      merges: [],
    },
  };
}

/** The characters that stand for the 256 bytes in tokenizers of this kind: printable ones for themselves. */
function byteCharacters() {
  const printable = (byte) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
