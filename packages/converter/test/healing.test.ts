import { createCausalLM, perplexity } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openModel, readWindows } from "./support/assets.js";
import { type Folded, foldedLogits, foldInMemory, withSession } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";
import { SLOW_MS } from "./support/perplexity.js";

describe("healing", () => {
  it(
    "makes a folded prose-6m predict the text it was healed on better, and other text too",
    async () => {
      const checkpoint = await openModel("prose-6m");
      const texts = {
        healed: await readWindows({ text: "calibration", count: 8, length: 512 }),
        other: await readWindows({ text: "validation", count: 8, length: 256 }),
      };
      const options = { keep: "1/4", method: "svd-a", windows: texts.healed } as const;
      const plain = await foldInMemory(checkpoint, options);
      const { moments } = plain;
      const attention = await foldInMemory(checkpoint, { ...options, moments, heal: "attention" });
      const both = await foldInMemory(checkpoint, { ...options, moments, heal: "both" });
      const measure = (folded: Folded, text: keyof typeof texts) =>
        withSession(folded, async (session) => {
          return (await perplexity(createCausalLM(session), texts[text])).perplexity;
        });
      const attentionPerplexity = await measure(attention, "healed");
      expect(attentionPerplexity).toBeLessThan(0.95 * (await measure(plain, "healed")));
      expect(await measure(both, "healed")).toBeLessThan(0.95 * attentionPerplexity);
      // 4096 tokens are too few for the 688 inputs of the MLP, but enough for the heads.
      expect(await measure(attention, "other")).toBeLessThan(0.98 * (await measure(plain, "other")));
    },
    SLOW_MS,
  );

  it(
    "makes prose-6m in joint latents predict the text it was healed on better",
    async () => {
      const checkpoint = await openModel("prose-6m");
      const texts = await readWindows({ text: "calibration", count: 4, length: 256 });
      const options = { keep: "1/8", method: "anchored", budget: "uniform", windows: texts } as const;
      const plain = await foldInMemory(checkpoint, { ...options, heal: "none" });
      const healed = await foldInMemory(checkpoint, {
        ...options,
        moments: plain.moments,
        heal: "attention",
      });
      const measure = (folded: Folded) =>
        withSession(folded, async (session) => (await perplexity(createCausalLM(session), texts)).perplexity);
      expect(await measure(healed)).toBeLessThan(0.9 * (await measure(plain)));
    },
    SLOW_MS,
  );

  const windows = randomWindows(4, 40, { vocabulary: 61 });

  it.each(["svd-a", "lorc", "eigen-attention", "anchored"])(
    "changes nothing where %s lost nothing",
    async (method) => {
      const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
      const folded = await foldInMemory(checkpoint, { windows, keep: "1", method, heal: "both" });
      const expected = await referenceLogits(checkpoint, windows[0]!);
      const difference = largestDifference(await foldedLogits(folded, windows[0]!), expected.data);
      // Refits of float32 sums: ten times the rounding of the graph itself.
      expect(difference).toBeLessThan(10 * LOGIT_TOLERANCE);
    },
  );

  it("asks for calibration text, even where moments are given", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { moments } = await foldInMemory(checkpoint, { windows, keep: "1/2", method: "svd-a" });
    const healing = foldInMemory(checkpoint, { moments, keep: "1/2", method: "svd-a", heal: "both" });
    await expect(healing).rejects.toThrow(
      expect.objectContaining({
        code: "insufficient-data",
        message: "method svd-a with heal both needs calibration text; give token windows",
      }),
    );
  });
});
