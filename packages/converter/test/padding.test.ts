import { type Session, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { foldedLogits, foldInMemory, withSession } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

const VOCABULARY = 61;
const int64 = (values: readonly number[], dims: readonly number[]) =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), dims);

/** Position of each real token among the real ones, 0 for padding, as transformers.js computes it. */
function positions(mask: readonly number[]): number[] {
  let count = 0;
  return mask.map((real) => (real === 1 ? count++ : 0));
}

/** Logits `[B * S, V]` of rows of tokens in one run, the cache empty. */
async function batchLogits(
  session: Session,
  ids: readonly number[][],
  masks: readonly number[][],
  firstPosition = 0,
) {
  const dims = [ids.length, ids[0]!.length];
  const feeds: Record<string, Tensor> = {
    input_ids: int64(ids.flat(), dims),
    attention_mask: int64(masks.flat(), dims),
  };
  for (const { name, shape } of session.inputs) {
    if (name === "position_ids") {
      const shifted = masks.flatMap(positions).map((position) => position + firstPosition);
      feeds[name] = int64(shifted, dims);
    }
    if (name.startsWith("past_key_values")) {
      const empty = [ids.length, shape[1] as number, 0, shape[3] as number];
      feeds[name] = new Tensor("float32", new Float32Array(0), empty);
    }
  }
  return (await session.run(feeds, ["logits"])).logits!.data as Float32Array;
}

describe("a padded batch equals its sequences alone", () => {
  const [long, short] = [...randomWindows(2, 12, { vocabulary: VOCABULARY })].map((row) => [...row]);
  const real = short!.slice(0, 8);
  const padding = [0, 0, 0, 0];
  const row = (logits: Float32Array, index: number) =>
    logits.subarray(index * VOCABULARY, (index + 1) * VOCABULARY);

  it.each([
    ["Llama with the paper's spans", tinyLlama, { keep: "1/2", method: "svd-w", keySpan: 4, valueSpan: 2 }],
    ["Llama, lorc, whose keys are rotated late", tinyLlama, { keep: "1/2", method: "lorc" }],
    [
      "Qwen2 with query groups, eigen-attention",
      { ...tinyLlama, model_type: "qwen2", num_key_value_heads: 2 },
      { keep: "1/2", method: "eigen-attention", windows: randomWindows(4, 20, { vocabulary: VOCABULARY }) },
    ],
    ["BLOOM, whose positions count real tokens", tinyBloom, { keep: "1/2", method: "svd-w" }],
  ] as const)("on the left: %s", async (_, config, options) => {
    const folded = await foldInMemory(await syntheticCheckpoint({ config }), options);
    const masks = [Array(12).fill(1), [...padding, ...Array(8).fill(1)]];
    const batch = await withSession(folded, (session) =>
      batchLogits(session, [long!, [...padding, ...real]], masks),
    );
    const alone = [await foldedLogits(folded, long!), await foldedLogits(folded, real)];
    expect(largestDifference(row(batch, 11), row(alone[0]!, 11))).toBeLessThan(LOGIT_TOLERANCE);
    expect(largestDifference(row(batch, 23), row(alone[1]!, 7))).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each([
    ["Llama grouped, whose operator knows no other", "svd-w"],
    ["Llama, lorc", "lorc"],
  ])("on the right: %s", async (_, method) => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const folded = await foldInMemory(checkpoint, { keep: "1/2", method });
    const masks = [Array(12).fill(1), [...Array(8).fill(1), ...padding]];
    const batch = await withSession(folded, (session) =>
      batchLogits(session, [long!, [...real, ...padding]], masks),
    );
    const alone = [await foldedLogits(folded, long!), await foldedLogits(folded, real)];
    expect(largestDifference(row(batch, 11), row(alone[0]!, 11))).toBeLessThan(LOGIT_TOLERANCE);
    expect(largestDifference(row(batch, 12 + 7), row(alone[1]!, 7))).toBeLessThan(LOGIT_TOLERANCE);
  });
});

describe("a text may begin at any position", () => {
  const text = [...[...randomWindows(1, 12, { vocabulary: VOCABULARY })][0]!];

  it.each([
    ["Llama grouped", { keep: "1/1", method: "svd-w" }],
    ["Llama, lorc, whose keys are rotated late", { keep: "1/2", method: "lorc" }],
  ] as const)("%s", async (_, options) => {
    const folded = await foldInMemory(await syntheticCheckpoint({ config: tinyLlama }), options);
    const masks = [Array<number>(12).fill(1)];
    const [first, later] = await withSession(folded, async (session) => [
      await batchLogits(session, [text], masks),
      await batchLogits(session, [text], masks, 17),
    ]);
    expect(largestDifference(later!, first!)).toBeLessThan(LOGIT_TOLERANCE);
  });
});
