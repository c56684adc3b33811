import { createCausalLM } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { foldedLogits, foldInMemory, withSession } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

const WINDOW = 6;
const mistral = (window: number | null) =>
  syntheticCheckpoint({ config: { ...tinyLlama, model_type: "mistral", sliding_window: window } });
const [tokens] = randomWindows(1, 32, { vocabulary: 61 });

/** The fused operator, and plain attention (which spans that differ or late rotation ask for) at full rank. */
const attentions = [
  ["group-query", { keep: "1" }],
  ["plain", { keep: "1", method: "svd-w", keySpan: 4, valueSpan: 1 }],
  ["plain", { keep: "1", method: "lorc" }],
] as const;

/** Hugging Face's Mistral: a query sees `sliding_window` keys, its own included. */
describe.each(attentions)("sliding window, %s attention, %o", (attention, options) => {
  it("is Hugging Face's in a prompt", async () => {
    const checkpoint = await mistral(WINDOW);
    const folded = await foldInMemory(checkpoint, options);
    expect(folded.plan.attention).toBe(attention);
    const expected = await referenceLogits(checkpoint, tokens!);
    expect(largestDifference(await foldedLogits(folded, tokens!), expected.data)).toBeLessThan(
      LOGIT_TOLERANCE,
    );
  });

  it("is Hugging Face's a token at a time", async () => {
    const checkpoint = await mistral(WINDOW);
    const folded = await foldInMemory(checkpoint, options);
    const expected = await referenceLogits(checkpoint, tokens!);
    const last = await withSession(folded, async (session) => {
      const state = createCausalLM(session, { initialCapacity: 8 }).createState();
      let logits = await state.prefill(tokens!.subarray(0, 3));
      for (const token of tokens!.subarray(3)) logits = await state.decode(token);
      return logits;
    });
    expect(largestDifference(last, expected.data.subarray(-last.length))).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each([WINDOW - 1, WINDOW + 1, null])("of another size, %s, gives other logits", async (window) => {
    const folded = await foldInMemory(await mistral(window), options);
    const expected = await referenceLogits(await mistral(WINDOW), tokens!);
    expect(largestDifference(await foldedLogits(folded, tokens!), expected.data)).toBeGreaterThan(
      100 * LOGIT_TOLERANCE,
    );
  });
});
