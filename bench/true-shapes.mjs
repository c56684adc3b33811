/**
 * Random weights in the shapes of models that people run: `inspect`, `fold --keep 1/2` into float32, float16 and four
 * bits, then `eval` and `generate` with each, all by the command line in processes of their own. Says what failed, and
 * how much memory each took at most. Nothing of the models themselves is used: shapes are those of their `config.json`.
 *
 * `node bench/true-shapes.mjs [--only SmolLM2-135M,Qwen3-0.6B] [--layers 2] [--dtypes fp32,fp16,q4] [--windows 2]
 *   [--window 128] [--folder FOLDER] [--method latent]`
 *
 * Layers are cut where a model is large (`shapes` below says to how many); `--layers` sets another number. Memory is the
 * high-water mark of the process (`VmHWM`, Linux only); it counts the pages of a model's file that are mapped.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gaussians } from "@kvfold/runtime";
import { writeSafetensorsFile } from "@kvfold/safetensors/node";
import { renderTable } from "kvfold/jobs";
import { assetPath, fail, machine, repositoryPath, textOption } from "./paths.mjs";

const llama = { model_type: "llama", architectures: ["LlamaForCausalLM"], hidden_act: "silu" };

/** `config.json` as published, but for the number of layers; `layers` are run unless told otherwise. */
const shapes = {
  "SmolLM2-135M": {
    layers: 30,
    config: {
      ...llama,
      attention_bias: false,
      bos_token_id: 0,
      eos_token_id: 0,
      hidden_size: 576,
      intermediate_size: 1536,
      max_position_embeddings: 8192,
      mlp_bias: false,
      num_attention_heads: 9,
      num_hidden_layers: 30,
      num_key_value_heads: 3,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      rope_theta: 100000,
      tie_word_embeddings: true,
      torch_dtype: "bfloat16",
      vocab_size: 49152,
    },
  },
  "Qwen3-0.6B": {
    layers: 28,
    config: {
      model_type: "qwen3",
      architectures: ["Qwen3ForCausalLM"],
      hidden_act: "silu",
      attention_bias: false,
      bos_token_id: 151643,
      eos_token_id: 151645,
      head_dim: 128,
      hidden_size: 1024,
      intermediate_size: 3072,
      max_position_embeddings: 40960,
      max_window_layers: 28,
      num_attention_heads: 16,
      num_hidden_layers: 28,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-6,
      rope_scaling: null,
      rope_theta: 1000000,
      sliding_window: null,
      tie_word_embeddings: true,
      torch_dtype: "bfloat16",
      use_sliding_window: false,
      vocab_size: 151936,
    },
  },
  "Llama-3.2-1B": {
    layers: 2,
    config: {
      ...llama,
      attention_bias: false,
      bos_token_id: 128000,
      eos_token_id: 128001,
      head_dim: 64,
      hidden_size: 2048,
      intermediate_size: 8192,
      max_position_embeddings: 131072,
      mlp_bias: false,
      num_attention_heads: 32,
      num_hidden_layers: 16,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: "llama3",
      },
      rope_theta: 500000,
      tie_word_embeddings: true,
      torch_dtype: "bfloat16",
      vocab_size: 128256,
    },
  },
  "Gemma-3-1B": {
    // The sixth layer is the first without a sliding window.
    layers: 6,
    config: {
      model_type: "gemma3_text",
      architectures: ["Gemma3ForCausalLM"],
      attention_bias: false,
      attn_logit_softcapping: null,
      bos_token_id: 2,
      eos_token_id: [1, 106],
      final_logit_softcapping: null,
      head_dim: 256,
      hidden_activation: "gelu_pytorch_tanh",
      hidden_size: 1152,
      intermediate_size: 6912,
      max_position_embeddings: 32768,
      num_attention_heads: 4,
      num_hidden_layers: 26,
      num_key_value_heads: 1,
      pad_token_id: 0,
      query_pre_attn_scalar: 256,
      rms_norm_eps: 1e-6,
      rope_local_base_freq: 10000,
      rope_scaling: null,
      rope_theta: 1000000,
      sliding_window: 512,
      sliding_window_pattern: 6,
      torch_dtype: "bfloat16",
      vocab_size: 262144,
    },
  },
  "Phi-3-mini": {
    layers: 2,
    config: {
      model_type: "phi3",
      architectures: ["Phi3ForCausalLM"],
      hidden_act: "silu",
      attention_bias: false,
      attention_dropout: 0,
      bos_token_id: 1,
      embd_pdrop: 0,
      eos_token_id: 32000,
      hidden_size: 3072,
      intermediate_size: 8192,
      max_position_embeddings: 4096,
      num_attention_heads: 32,
      num_hidden_layers: 32,
      num_key_value_heads: 32,
      original_max_position_embeddings: 4096,
      pad_token_id: 32000,
      resid_pdrop: 0,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      rope_theta: 10000,
      sliding_window: 2047,
      tie_word_embeddings: false,
      torch_dtype: "bfloat16",
      vocab_size: 32064,
    },
  },
  "Qwen2-7B": {
    layers: 1,
    config: {
      model_type: "qwen2",
      architectures: ["Qwen2ForCausalLM"],
      hidden_act: "silu",
      attention_dropout: 0,
      bos_token_id: 151643,
      eos_token_id: 151643,
      hidden_size: 3584,
      intermediate_size: 18944,
      max_position_embeddings: 131072,
      max_window_layers: 28,
      num_attention_heads: 28,
      num_hidden_layers: 28,
      num_key_value_heads: 4,
      rms_norm_eps: 1e-6,
      rope_theta: 1000000,
      sliding_window: 131072,
      tie_word_embeddings: false,
      torch_dtype: "bfloat16",
      use_sliding_window: false,
      vocab_size: 152064,
    },
  },
};

const list = (name, fallback) => textOption(name, fallback).split(",");
const dtypes = list("dtypes", "fp32,fp16,q4");
const tokens = assetPath("text/calibration.u16");

/** A table of numbers that all tensors are cut from: a billion good ones would take minutes. Its length is a prime. */
const TABLE = 65521;

function bfloat16Table(mean, deviation) {
  const random = gaussians(1);
  const values = Float32Array.from({ length: TABLE }, () => mean + deviation * random());
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (word) => word >>> 16);
}

/** Small, as weights are at the start of training. */
const WEIGHTS = bfloat16Table(0, 0.02);
const NORMS = bfloat16Table(1, 0.02);

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
  const linear = (name, columns, rows, bias = false) => [
    [`${name}.weight`, [columns, rows]],
    ...(bias ? [[`${name}.bias`, [columns]]] : []),
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
    ...norms.map(([name, width]) => [`${name}.weight`, [width]]),
    ...projections,
    ...linear("self_attn.o_proj", d, queries),
    ...linear("mlp.down_proj", d, m),
  ].map(([name, shape]) => [`model.layers.${index}.${name}`, shape]);
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

/** Writes a checkpoint of random weights, and returns how many there are. */
async function writeCheckpoint(folder, config) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(byteTokenizer(config.vocab_size)));
  const named = modelTensors(config);
  const isNorm = (name) => /norm\.weight$/.test(name);
  const tensors = named.map(([name, shape]) => ({
    name,
    dtype: "BF16",
    shape,
    // Gemma adds one to the weights of its norms.
    data: () => repeat(isNorm(name) && config.model_type !== "gemma3_text" ? NORMS : WEIGHTS, sizeOf(shape)),
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

/** Runs the command line; resolves with what it printed, its seconds and the most memory that it held. */
async function kvfold(...args) {
  const started = performance.now();
  const child = spawn(process.execPath, [repositoryPath("apps/cli/dist/main.js"), ...args]);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"])
    child[name].setEncoding("utf8").on("data", (text) => {
      output[name] += text;
    });
  let peak = 0;
  const watch = setInterval(async () => {
    peak = Math.max(peak, await highWaterMark(child.pid));
  }, 100);
  const [code, signal] = await new Promise((resolve) => {
    child.on("close", (...ended) => resolve(ended));
  });
  clearInterval(watch);
  return { code: code ?? signal, ...output, seconds: (performance.now() - started) / 1000, peak };
}

/** Bytes that a process has held at most so far; 0 when it is gone, or where there is no `/proc`. */
async function highWaterMark(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

const rows = [];

async function step(model, name, args, figure = () => "") {
  const { code, stdout, stderr, seconds, peak } = await kvfold(...args, "--json");
  const failed = code !== 0;
  const result = failed ? stderr.trim().slice(0, 400) : figure(JSON.parse(stdout));
  rows.push({ model, name, seconds, peak, result: failed ? `FAILED (${code}): ${result}` : result });
  console.error(`${model}: ${name}, ${seconds.toFixed(0)} s, ${gibibytes(peak)} GiB, ${rows.at(-1).result}`);
  return !failed;
}

const gibibytes = (bytes) => (bytes / 2 ** 30).toFixed(2);

const perplexities = ({ models }) => models.map(({ perplexity }) => perplexity.toFixed(0)).join(", ");

async function measureShape(name, folder) {
  const { config, layers } = shapes[name] ?? fail(`there is no ${name}; choose of ${Object.keys(shapes)}`);
  const layerCount = Number(textOption("layers", layers));
  const [model, half] = [join(folder, name), join(folder, `${name}-half`)];
  const parameters = await writeCheckpoint(model, { ...config, num_hidden_layers: layerCount });
  const title = `${name}, ${layerCount} of ${config.num_hidden_layers} layers, ${(parameters / 1e6).toFixed(0)} M`;
  await step(title, "inspect", ["inspect", model]);
  const calibration = ["--calibration", tokens, "--windows", textOption("windows", "2")];
  const folded = await step(
    title,
    "fold --keep 1/2",
    ["fold", model, "-o", half, "--keep", "1/2", "--dtype", dtypes.join()].concat(
      calibration,
      ["--window", textOption("window", "128")],
      textOption("method") === undefined ? [] : ["--method", textOption("method")],
    ),
    ({ cacheBytesPerToken: bytes }) => `cache ${bytes.before} -> ${bytes.after} bytes a token`,
  );
  for (const dtype of folded ? dtypes : []) {
    const text = ["--tokens", tokens, "--windows", "1", "--window", "64", "--dtype", dtype];
    await step(
      title,
      `eval, ${dtype}`,
      ["eval", half, ...text],
      (result) => `perplexity ${perplexities(result)}`,
    );
    await step(
      title,
      `generate, ${dtype}`,
      ["generate", half, "--prompt", "It was a dark", "--max-new-tokens", "8", "--dtype", dtype],
      (result) => `${result.tokens} tokens`,
    );
  }
  await rm(model, { recursive: true });
  await rm(half, { recursive: true, force: true });
}

const folder = await mkdtemp(join(textOption("folder", tmpdir()), "kvfold-shapes-"));
try {
  for (const name of list("only", Object.keys(shapes).join())) await measureShape(name, folder);
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(machine());
console.log(
  renderTable(rows, [
    { heading: "model", cell: ({ model }) => model },
    { heading: "command", cell: ({ name }) => name },
    { heading: "seconds", align: "right", cell: ({ seconds }) => seconds.toFixed(0) },
    { heading: "peak GiB", align: "right", cell: ({ peak }) => gibibytes(peak) },
    { heading: "result", cell: ({ result }) => result },
  ]),
);
if (rows.some(({ result }) => result.startsWith("FAILED"))) process.exitCode = 1;
