import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { onnxOutput } from "@kvfold/decoder";
import { createCausalLM, generate } from "@kvfold/runtime";
import type { Llama } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { exportModel, modelLogits } from "../../decoder/test/support/export-model.js";
import { openFamily } from "../../decoder/test/support/families.js";
import { memorySink } from "../../decoder/test/support/memory-sink.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import {
  namelessTokens,
  pattern,
  pieceTokenizer,
  proseTokenizer,
  splitBy,
} from "../../decoder/test/support/toy-tokenizers.js";
import { foldModel, planFold } from "../src/index.js";
import { readWindows } from "./support/assets.js";
import { foldedLogits } from "./support/fold-in-memory.js";
import { continueGreedily, nextProbabilities, openLlama, withLlamaModel } from "./support/llama-cpp.js";
import { largestDifference, randomWindows } from "./support/numbers.js";
import { writeFolder } from "./support/write-folder.js";
import { openGguf, writeGguf } from "./support/write-gguf.js";

let root: string;
let llama: Llama;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-llama-cpp-"));
  llama = await openLlama();
});

afterAll(async () => {
  await llama.dispose();
  await rm(root, { recursive: true, force: true });
});

function softmax(logits: Float32Array): Float64Array {
  const largest = Math.max(...logits);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Both compute in float32, in another order: observed are 1e-6 at probabilities of about 0.5. */
const PROBABILITY_TOLERANCE = 1e-5;

describe("llama.cpp computes what our graph computes", () => {
  const windowless = { sliding_window: null, use_sliding_window: false, layer_types: undefined };
  it.each([
    ["Llama with llama3 scaling and biases", "llama", {}],
    ["Llama with linear scaling and heads of 24", "llama-linear", {}],
    ["Llama with YaRN", "llama-yarn", {}],
    [
      "Llama with YaRN and an attention factor of its own",
      "llama-yarn",
      { attention_factor: 1.4, beta_fast: 8 },
    ],
    ["Mistral", "mistral", windowless],
    ["Qwen2 with biases of queries, keys and values", "qwen2", windowless],
    ["Qwen3 with norms of queries and keys and a tied head", "qwen3", {}],
    ["ERNIE 4.5, whose heads are interleaved", "ernie4_5", {}],
  ])("%s", async (_, family, { attention_factor, beta_fast, ...changes }: Record<string, unknown>) => {
    const checkpoint = await openFamily(family, (fields) => ({
      ...fields,
      ...changes,
      ...(beta_fast === undefined
        ? {}
        : { rope_parameters: { ...(fields.rope_parameters as object), attention_factor, beta_fast } }),
    }));
    const { vocabSize } = checkpoint.config.shape;
    const [window] = randomWindows(1, 40, { vocabulary: vocabSize });
    const tokens = [...window!];
    const logits = await modelLogits(await exportModel(checkpoint), tokens);
    const path = await writeGguf(root, checkpoint, namelessTokens(vocabSize));
    const theirs = await withLlamaModel(llama, path, (model) => nextProbabilities(model, tokens, vocabSize));
    const ours = softmax(logits.subarray(-vocabSize));
    expect(largestDifference(theirs, ours)).toBeLessThan(PROBABILITY_TOLERANCE);
  });
  it("a model folded by commuting and healed with new biases", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { config } = checkpoint;
    const plan = planFold(config, { keep: "1/2", method: "commuting", formats: ["onnx", "gguf"] });
    const windows = randomWindows(4, 40, { vocabulary: 61 });
    const files = new Map<string, Uint8Array>();
    const gguf = await openGguf(checkpoint, namelessTokens(61), {
      kvHeads: 2,
      newBiases: true,
      open: memorySink(files),
    });
    const onnx = onnxOutput({ config, ...plan, dtype: "fp32", open: memorySink(files) });
    await foldModel({ checkpoint, plan, outputs: [gguf, onnx], provider: oneThreadProvider(), windows });
    const tokens = [...windows[0]!];
    const ours = softmax((await foldedLogits({ files }, windows[0]!)).subarray(-61));
    const path = join(root, "healed.gguf");
    await writeFile(path, files.get(gguf.fileName)!);
    const theirs = await withLlamaModel(llama, path, (model) => nextProbabilities(model, tokens, 61));
    expect(largestDifference(theirs, ours)).toBeLessThan(PROBABILITY_TOLERANCE);
  });
});

const PROMPT_TOKENS = 24;
const NEW_TOKENS = 24;

async function prosePrompt(): Promise<readonly number[]> {
  const [window] = await readWindows({ text: "validation", count: 1, length: PROMPT_TOKENS });
  return [...window!];
}

async function continueWithRuntime(graph: string, prompt: readonly number[]): Promise<readonly number[]> {
  const session = await oneThreadProvider().createSession({ path: graph });
  try {
    const tokens: number[] = [];
    for await (const token of generate(createCausalLM(session), prompt, { maxNewTokens: NEW_TOKENS }))
      tokens.push(token);
    return tokens;
  } finally {
    await session.dispose();
  }
}

describe("llama.cpp continues as our runtime does", () => {
  it.each<[string, planFold.Options]>([
    ["the model as it is", { keep: "1" }],
    ["folded by mean", { keep: "1/2", method: "mean" }],
  ])("%s", async (_, options) => {
    const folder = await mkdtemp(join(root, "prose-"));
    await writeFolder(folder, "prose-6m", { ...options, formats: ["onnx", "gguf"] });
    const prompt = await prosePrompt();
    const expected = await continueWithRuntime(join(folder, "onnx/model.onnx"), prompt);
    const file = join(folder, "model-f32.gguf");
    const tokens = await withLlamaModel(llama, file, (model) => continueGreedily(model, prompt, NEW_TOKENS));
    expect(tokens).toEqual(expected);
  });

  /**
   * Weights are off by at most 2^-11 of themselves in float16 and 1/254 of the largest of their block in Q8_0. On this prompt
   * that moves probabilities by 1.3e-4 and 8.5e-3.
   */
  it("nearly, in float16 and in eight bits", async () => {
    const folder = await mkdtemp(join(root, "prose-"));
    await writeFolder(folder, "prose-6m", { keep: "1", formats: ["gguf"], dtypes: ["fp32", "fp16", "q8"] });
    const prompt = await prosePrompt();
    const probabilities = (file: string) =>
      withLlamaModel(llama, join(folder, file), (model) => nextProbabilities(model, prompt, 4096));
    const exact = await probabilities("model-f32.gguf");
    const errors = [
      largestDifference(exact, await probabilities("model-f16.gguf")),
      largestDifference(exact, await probabilities("model-q8_0.gguf")),
    ];
    expect(errors[0]).toBeLessThan(0.001);
    expect(errors[1]).toBeLessThan(0.02);
    expect(errors[0]).toBeGreaterThan(0);
    expect(errors[1]).toBeGreaterThan(errors[0]!);
  });
});

const TEXTS = [
  "It was a dark and stormy night; the rain fell in torrents, and I've 1234 cats' lives.",
  "  leading and   many   spaces  ",
  "def f(x):\n\treturn x**2  # comment\r\n\n\n  end",
  "naïve café — Здравствуй, мир! 日本語 😀 THE end",
];

describe("llama.cpp reads text as the tokenizer does", () => {
  const cl100k = (digits: string) =>
    pattern(
      String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    );
  const gpt2 = { type: "ByteLevel", add_prefix_space: false };
  const TEKKEN = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  const isAscii = (text: string) => /^[\t-~]*$/.test(text);
  it.each([
    ["GPT-2's", proseTokenizer()],
    [
      "SmolLM's",
      proseTokenizer({
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [{ type: "Digits", individual_digits: true }, gpt2],
        },
      }),
    ],
    [
      "Llama 3's",
      proseTokenizer({ pre_tokenizer: splitBy(cl100k(String.raw`\p{N}{1,3}`)) }, { ignore_merges: true }),
    ],
    ["Llama 3's with merges", proseTokenizer({ pre_tokenizer: splitBy(cl100k(String.raw`\p{N}{1,3}`)) })],
    ["Qwen's", proseTokenizer({ pre_tokenizer: splitBy(cl100k(String.raw`\p{N}`)) })],
    [
      "Mistral's Tekken, in ASCII",
      proseTokenizer({ pre_tokenizer: splitBy(pattern(TEKKEN)) }, { ignore_merges: true }),
      isAscii,
    ],
    ["Llama 2's", pieceTokenizer()],
  ])("%s", async (_, tokenizer, reads: (text: string) => boolean = () => true) => {
    const size = Object.keys(tokenizer.model.vocab).length;
    const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, vocab_size: size } });
    const path = await writeGguf(root, checkpoint, tokenizer);
    const ours = new Tokenizer(tokenizer, {});
    await withLlamaModel(llama, path, async (model) => {
      for (const text of TEXTS.filter(reads))
        expect([...model.tokenize(text)]).toEqual(ours.encode(text, { add_special_tokens: false }).ids);
    });
  });

  it("knows where texts begin and end", async () => {
    const checkpoint = await syntheticCheckpoint({
      config: { ...tinyLlama, vocab_size: 320, bos_token_id: 1, eos_token_id: 2 },
    });
    const path = await writeGguf(root, checkpoint, pieceTokenizer());
    await withLlamaModel(llama, path, async ({ tokens }) => {
      expect(tokens).toMatchObject({ bos: 1, eos: 2, shouldPrependBosToken: true });
    });
  });
});
