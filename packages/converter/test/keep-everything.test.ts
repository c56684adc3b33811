import type { Checkpoint } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openModel, readWindows } from "./support/assets.js";
import { foldedLogits, foldInMemory } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

const llama3Scaling = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 64,
};

const synthetic: readonly [name: string, open: () => Promise<Checkpoint>][] = [
  ["Llama with an untied head, float32", () => syntheticCheckpoint({ config: tinyLlama })],
  [
    "Llama with a tied head, float16, in three shards",
    () =>
      syntheticCheckpoint({ config: { ...tinyLlama, tie_word_embeddings: true }, dtype: "F16", shards: 3 }),
  ],
  [
    "Llama with query groups, bfloat16",
    () => syntheticCheckpoint({ config: { ...tinyLlama, num_key_value_heads: 2 }, dtype: "BF16" }),
  ],
  [
    "Llama 3's rope scaling",
    () => syntheticCheckpoint({ config: { ...tinyLlama, rope_theta: 500_000, rope_scaling: llama3Scaling } }),
  ],
  [
    "Mistral",
    () => syntheticCheckpoint({ config: { ...tinyLlama, model_type: "mistral", sliding_window: null } }),
  ],
  [
    "Qwen2 with biases and query groups",
    () => syntheticCheckpoint({ config: { ...tinyLlama, model_type: "qwen2", num_key_value_heads: 2 } }),
  ],
  ["BLOOM with six heads", () => syntheticCheckpoint({ config: tinyBloom })],
];

/** A fold's logits against the float64 loops. */
async function differenceFromReference(
  checkpoint: Checkpoint,
  tokens: Int32Array,
  options: foldInMemory.Options,
): Promise<number> {
  const folded = await foldInMemory(checkpoint, options);
  const expected = await referenceLogits(checkpoint, tokens);
  return largestDifference(await foldedLogits(folded, tokens), expected.data);
}

describe("keep 1", () => {
  it.each(synthetic)("reproduces a synthetic %s", async (_, open) => {
    const [tokens] = randomWindows(1, 40, { vocabulary: 61 });
    const difference = await differenceFromReference(await open(), tokens!, { keep: "1" });
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each(["prose-6m", "prose-bloom-6m"] as const)("reproduces %s", async (name) => {
    const [tokens] = await readWindows({ text: "validation", count: 1, length: 32 });
    const difference = await differenceFromReference(await openModel(name), tokens!, { keep: "1" });
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });
});

/** At full rank a basis is a rotation: encode and decode cancel, whatever shares a latent. */
describe("full rank", () => {
  const spans = [
    ["svd-a", 1, 1],
    ["svd-a", 2, 2],
    ["svd-a", 4, 4],
    ["svd-a", 4, 1],
    ["paper", undefined, undefined],
    ["paper", 2, 2],
    ["latent", undefined, undefined],
    ["latent", 4, 4],
    ["random", 2, 2],
    ["svd-w", 2, 2],
    ["mean", undefined, undefined],
    ["lorc", undefined, undefined],
    ["lorc", 2, 1],
    ["eigen-attention", undefined, undefined],
  ] as const;

  it.each(spans)("of %s with spans %s and %s reproduces Llama", async (method, keySpan, valueSpan) => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const windows = randomWindows(4, 40, { vocabulary: 61 });
    const options = { keep: "1", method, keySpan, valueSpan, windows, heal: "none" } as const;
    const difference = await differenceFromReference(checkpoint, windows[0]!, options);
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each(["lorc", "eigen-attention"])("of %s reproduces Qwen2 and BLOOM", async (method) => {
    const windows = randomWindows(4, 40, { vocabulary: 61 });
    const qwen2 = { ...tinyLlama, model_type: "qwen2", num_key_value_heads: 2 };
    for (const config of [qwen2, tinyBloom]) {
      const checkpoint = await syntheticCheckpoint({ config });
      const options = { keep: "1", method, windows };
      const difference = await differenceFromReference(checkpoint, windows[0]!, options);
      expect(difference).toBeLessThan(LOGIT_TOLERANCE);
    }
  });

  it.each([1, 2, 6])("of svd-a with span %s reproduces BLOOM", async (span) => {
    const checkpoint = await syntheticCheckpoint({ config: tinyBloom });
    const windows = randomWindows(4, 40, { vocabulary: 61 });
    const options = { keep: "1", method: "svd-a", keySpan: span, valueSpan: span, windows };
    const difference = await differenceFromReference(checkpoint, windows[0]!, options);
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each(["svd-a", "paper", "lorc", "eigen-attention"])("of %s reproduces prose-6m", async (method) => {
    const windows = await readWindows({ text: "calibration", count: 2, length: 128 });
    const tokens = windows[0]!.slice(0, 32);
    const difference = await differenceFromReference(await openModel("prose-6m"), tokens, {
      keep: "1",
      method,
      windows,
    });
    expect(difference).toBeLessThan(LOGIT_TOLERANCE);
  });
});
