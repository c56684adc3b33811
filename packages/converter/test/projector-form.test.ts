import type { Checkpoint } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openModel, readWindows } from "./support/assets.js";
import { foldedLogits, foldInMemory } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";
import { projectorLogits } from "./support/projector-form.js";

const llama = () => syntheticCheckpoint({ config: tinyLlama });
const qwen2 = () =>
  syntheticCheckpoint({
    config: { ...tinyLlama, model_type: "qwen2", num_attention_heads: 8, num_key_value_heads: 4 },
  });
const mistral = () =>
  syntheticCheckpoint({ config: { ...tinyLlama, model_type: "mistral", sliding_window: 9 } });
const bloom = () => syntheticCheckpoint({ config: tinyBloom });

const folds: readonly [name: string, open: () => Promise<Checkpoint>, options: foldInMemory.Options][] = [
  ["Llama, svd-a grouped", llama, { keep: "1/2", method: "svd-a" }],
  ["Llama, svd-a, span beyond the shrink", llama, { keep: "1/2", method: "svd-a", keySpan: 4, valueSpan: 4 }],
  ["Llama, the paper's spans", llama, { keep: "1/2", method: "paper" }],
  ["Llama, the paper's spans at a quarter", llama, { keep: "1/4", method: "paper" }],
  ["Llama, wide values and narrow keys", llama, { keep: "1/2", method: "svd-a", keySpan: 2, valueSpan: 4 }],
  ["Llama, three quarters kept", llama, { keep: "3/4", method: "svd-a", keySpan: 2, valueSpan: 2 }],
  ["Llama, mean", llama, { keep: "1/2", method: "mean" }],
  ["Llama, svd-w", llama, { keep: "1/2", method: "svd-w" }],
  ["Llama, random", llama, { keep: "1/4", method: "random" }],
  ["Llama, latent", llama, { keep: "1/2", method: "latent", heal: "none" }],
  ["Llama, latent at a quarter", llama, { keep: "1/4", method: "latent", heal: "none" }],
  ["Llama, commuting", llama, { keep: "1/2", method: "commuting", heal: "none" }],
  ["Llama, commuting at a quarter", llama, { keep: "1/4", method: "commuting", heal: "none" }],
  ["Qwen2, commuting", qwen2, { keep: "1/2", method: "commuting", heal: "none" }],
  ["Llama, commuting, reallocated", llama, { keep: "1/2", method: "commuting-reallocated", heal: "none" }],
  ["Qwen2, commuting, reallocated", qwen2, { keep: "1/2", method: "commuting-reallocated", heal: "none" }],
  ["Qwen2, latent", qwen2, { keep: "1/2", method: "latent", heal: "none" }],
  ["Llama, anchored", llama, { keep: "1/2", method: "anchored", heal: "none" }],
  ["Llama, anchored in chunks of 16", llama, { keep: "1/4", method: "anchored", chunk: 16, heal: "none" }],
  ["Llama, anchored, expanded", llama, { keep: "1/4", method: "anchored", chunk: 1, heal: "none" }],
  [
    "Qwen2, anchored in pairs of heads",
    qwen2,
    { keep: "1/4", method: "anchored", keySpan: 2, valueSpan: 2, heal: "none" },
  ],
  ["Mistral, in its window, anchored", mistral, { keep: "1/2", method: "anchored", heal: "none" }],
  ["BLOOM, anchored", bloom, { keep: "1/2", method: "anchored", heal: "none" }],
  [
    "Llama, latent with most for values",
    llama,
    { keep: "1/2", method: "latent", keyShare: "1/4", heal: "none" },
  ],
  ["BLOOM, latent", bloom, { keep: "1/2", method: "latent", heal: "none" }],
  ["Qwen2 with biases and two query heads to a KV head", qwen2, { keep: "1/2", method: "svd-a" }],
  ["Qwen2, the paper's spans", qwen2, { keep: "1/2", method: "paper" }],
  ["Mistral, in its window", mistral, { keep: "1/2", method: "svd-a" }],
  ["Mistral, in its window, the paper's spans", mistral, { keep: "1/2", method: "paper" }],
  ["Llama, lorc", llama, { keep: "1/2", method: "lorc" }],
  ["Llama, lorc, spans of its own", llama, { keep: "1/4", method: "lorc", keySpan: 2, valueSpan: 4 }],
  ["Qwen2, lorc, with biases", qwen2, { keep: "1/2", method: "lorc" }],
  ["Mistral, in its window, lorc", mistral, { keep: "1/2", method: "lorc" }],
  ["BLOOM, lorc", bloom, { keep: "1/2", method: "lorc" }],
  ["Llama, eigen-attention", llama, { keep: "1/2", method: "eigen-attention" }],
  ["Llama, eigen-attention, an odd rank", llama, { keep: "3/16", method: "eigen-attention" }],
  ["Llama, eigen-attention, heads in pairs", llama, { keep: "1/2", method: "eigen-attention", keySpan: 2 }],
  ["Qwen2, eigen-attention, with biases", qwen2, { keep: "1/2", method: "eigen-attention" }],
  ["Mistral, in its window, eigen-attention", mistral, { keep: "1/2", method: "eigen-attention" }],
  ["BLOOM, eigen-attention", bloom, { keep: "1/2", method: "eigen-attention" }],
  ["BLOOM, svd-a", bloom, { keep: "1/2", method: "svd-a" }],
  ["BLOOM, the paper's spans", bloom, { keep: "1/3", method: "paper" }],
  ["BLOOM, spans that do not divide", bloom, { keep: "1/2", method: "svd-a", keySpan: 2, valueSpan: 3 }],
  ["BLOOM, wide keys", bloom, { keep: "1/2", method: "svd-a", keySpan: 6, valueSpan: 2 }],
];

describe("a folded graph attends to K P and V P, keys after the rotation or before it as the method says", () => {
  it.each(folds)("%s", async (_, open, options) => {
    const windows = randomWindows(4, 40, { vocabulary: 61 });
    const folded = await foldInMemory(await open(), { windows, ...options });
    const tokens = windows[0]!;
    const expected = await projectorLogits(folded, tokens);
    expect(largestDifference(await foldedLogits(folded, tokens), expected)).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each([
    ["prose-6m", "svd-a"],
    ["prose-6m", "paper"],
    ["prose-6m", "lorc"],
    ["prose-6m", "eigen-attention"],
    ["prose-bloom-6m", "paper"],
    ["prose-bloom-6m", "eigen-attention"],
  ] as const)("%s, %s", async (name, method) => {
    const windows = await readWindows({ text: "calibration", count: 2, length: 128 });
    const folded = await foldInMemory(await openModel(name), { windows, keep: "1/2", method });
    const tokens = windows[0]!.slice(0, 24);
    const expected = await projectorLogits(folded, tokens);
    expect(largestDifference(await foldedLogits(folded, tokens), expected)).toBeLessThan(LOGIT_TOLERANCE);
  });
});
