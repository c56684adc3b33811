import { createCausalLM } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openModel, readWindows } from "./support/assets.js";
import { type Folded, foldInMemory, withSession } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

/** Largest difference between one run over all tokens and a prompt continued a token at a time. */
function decodingDifference(
  folded: Folded,
  tokens: Int32Array,
  { prompt, ...options }: createCausalLM.Options & { readonly prompt: number },
): Promise<number> {
  return withSession(folded, async (session) => {
    const model = createCausalLM(session, options);
    const { data, columns } = await model.forward(tokens);
    const row = (index: number) => data.subarray(index * columns, (index + 1) * columns);
    const state = model.createState();
    let largest = largestDifference(await state.prefill(tokens.subarray(0, prompt)), row(prompt - 1));
    for (let index = prompt; index < tokens.length; index++) {
      largest = Math.max(largest, largestDifference(await state.decode(tokens[index]!), row(index)));
    }
    state.dispose();
    return largest;
  });
}

describe("decoding a token at a time equals one run", () => {
  const [tokens] = randomWindows(1, 48, { vocabulary: 61 });
  const windows = randomWindows(4, 40, { vocabulary: 61, seed: 8 });
  const bloom = () => syntheticCheckpoint({ config: tinyBloom });
  const llama = () => syntheticCheckpoint({ config: tinyLlama });
  const qwen2 = () =>
    syntheticCheckpoint({ config: { ...tinyLlama, model_type: "qwen2", num_key_value_heads: 2 } });
  const mistral = () =>
    syntheticCheckpoint({ config: { ...tinyLlama, model_type: "mistral", sliding_window: 7 } });

  it.each([
    ["Llama unfolded", llama, { keep: "1" }],
    ["Llama grouped", llama, { keep: "1/2", method: "svd-a" }],
    ["Mistral in its window", mistral, { keep: "1/2", method: "svd-a" }],
  ] as const)("%s, cache in place, past its first allocation", async (_, open, options) => {
    const folded = await foldInMemory(await open(), { windows, ...options });
    const difference = await decodingDifference(folded, tokens!, {
      prompt: 10,
      cache: "in-place",
      initialCapacity: 12,
    });
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each([
    ["Llama unfolded", llama, { keep: "1" }],
    ["Llama grouped", llama, { keep: "1/2", method: "svd-a" }],
    ["Llama with the paper's spans", llama, { keep: "1/2", method: "paper" }],
    ["Mistral in its window, the paper's spans", mistral, { keep: "1/2", method: "paper" }],
    ["Llama, lorc", llama, { keep: "1/2", method: "lorc" }],
    ["Llama, lorc, wide values", llama, { keep: "1/2", method: "lorc", keySpan: 2, valueSpan: 4 }],
    ["Llama, eigen-attention", llama, { keep: "3/16", method: "eigen-attention" }],
    ["Qwen2 with query groups, eigen-attention", qwen2, { keep: "1/2", method: "eigen-attention" }],
    ["Mistral in its window, lorc", mistral, { keep: "1/2", method: "lorc" }],
    ["BLOOM, eigen-attention", bloom, { keep: "1/2", method: "eigen-attention" }],
    ["BLOOM unfolded", bloom, { keep: "1" }],
    ["BLOOM folded", bloom, { keep: "1/2", method: "paper" }],
    ["BLOOM with wide keys", bloom, { keep: "1/2", method: "svd-a", keySpan: 6, valueSpan: 2 }],
  ] as const)("%s, growing cache", async (_, open, options) => {
    const folded = await foldInMemory(await open(), { windows, ...options });
    const difference = await decodingDifference(folded, tokens!, { prompt: 10, cache: "growing" });
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each([
    ["prose-6m", { keep: "1/2", method: "svd-w" }],
    ["prose-6m", { keep: "1/2", method: "lorc" }],
    ["prose-bloom-6m", { keep: "1/2", method: "svd-w" }],
  ] as const)("%s, past the first 256 tokens", async (name, options) => {
    const [long] = await readWindows({ text: "validation", count: 1, length: 280 });
    const folded = await foldInMemory(await openModel(name), options);
    expect(await decodingDifference(folded, long!, { prompt: 240 })).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each([
    ["Llama", llama, "svd-a"],
    ["Llama, lorc", llama, "lorc"],
    ["Mistral in its window", mistral, "svd-a"],
    ["Mistral in its window, eigen-attention", mistral, "eigen-attention"],
  ] as const)("%s, a prompt in chunks", async (_, open, method) => {
    const folded = await foldInMemory(await open(), { windows, keep: "1/2", method });
    const difference = await decodingDifference(folded, tokens!, { prompt: 30, prefillChunk: 8 });
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });

  it("chooses the cache by the graph: in place for the fused operator, growing otherwise", async () => {
    const kind = (folded: Folded) =>
      withSession(folded, async (session) => createCausalLM(session).cacheKind);
    const grouped = await foldInMemory(await llama(), { keep: "1/2", method: "svd-w" });
    expect(await kind(grouped)).toBe("in-place");
    expect(await kind(await foldInMemory(await bloom(), { keep: "1" }))).toBe("growing");
    expect(await kind(await foldInMemory(await llama(), { keep: "1/2", method: "lorc" }))).toBe("growing");
    const spans = { keySpan: 4, valueSpan: 2 };
    expect(await kind(await foldInMemory(await llama(), { keep: "1/2", method: "svd-w", ...spans }))).toBe(
      "growing",
    );
  });
});
