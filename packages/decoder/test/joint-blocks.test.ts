import { type CausalLM, createCausalLM, type Session } from "@kvfold/runtime";
import { describe, expect, it, vi } from "vitest";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { exportModel, withModel } from "./support/export-model.js";
import { familyNames, openFamily, readReference } from "./support/families.js";
import { GOLDEN_TOLERANCE, goldenError, MAX_POSITIONS, TURNS_ANEW } from "./support/golden-logits.js";
import { withJointLatent } from "./support/joint-layers.js";

/** Short texts have several blocks, of three queries or of a few more. */
vi.mock("../src/graph/block-bounds.js", () => ({ MOST_SCORES: 60, LEAST_QUERIES: 3 }));

/** Sums of float32 in another order. */
const TOLERANCE = 2e-5;

const cases = familyNames.flatMap((name) =>
  (["delta", "policy"] as const).map((form) => [name, form] as const),
);

describe("joint latents that are attended to a block of queries at a time give the same logits", () => {
  it.each(cases)("%s, %s graph", async (name, form) => {
    const model = await exportModel(await openFamily(name), { form, maxPositions: MAX_POSITIONS, fold });
    const [sequence] = readReference(name).sequences;
    await withModel(model, async (session) => {
      const lm = createCausalLM(session);
      expect(goldenError((await lm.forward(sequence!.ids)).data, sequence!)).toBeLessThan(GOLDEN_TOLERANCE);
      if (TURNS_ANEW.includes(name)) return;
      // Blocks after tokens of the past.
      const first = sequence!.ids.length - sequence!.last.length;
      const state = lm.createState();
      await state.forward(sequence!.ids.slice(0, first));
      const rest = await state.forward(sequence!.ids.slice(first));
      expect(goldenError(rest.data, sequence!)).toBeLessThan(GOLDEN_TOLERANCE);
      state.dispose();
    });
  });

  it.each(["llama", "gemma2", "bloom"])("%s, prompts of a batch, padded on the left", async (name) => {
    const model = await exportModel(await openFamily(name), {
      form: "delta",
      maxPositions: MAX_POSITIONS,
      fold,
    });
    const { ids } = readReference(name).sequences[0]!;
    const prompts = [ids.slice(0, 9), ids.slice(3, 5), ids.slice(2, 16)];
    await withModel(model, async (session) => {
      const lm = createCausalLM(session);
      const batch = lm.createBatch({ size: prompts.length });
      const { data, columns } = await batch.prefill(prompts);
      for (const [row, prompt] of prompts.entries()) {
        const alone = await prefilled(lm, prompt);
        const found = data.subarray(row * columns, (row + 1) * columns);
        expect(relativeError(found, alone)).toBeLessThan(TOLERANCE);
      }
      batch.dispose();
    });
  });
});

describe("a long prompt of joint latents", () => {
  it.each(["delta", "policy"] as const)("is read in chunks that grow, %s graph", async (form) => {
    const model = await exportModel(await openFamily("llama"), { form, maxPositions: 512, fold });
    const prompt = Array.from({ length: 400 }, (_, index) => (index * 17) % 50);
    await withModel(model, async (session) => {
      const counts: number[] = [];
      const run: Session["run"] = (feeds, fetches) => {
        counts.push(feeds.input_ids!.dims[1]!);
        return session.run(feeds, fetches);
      };
      const lm = createCausalLM({ ...session, run }, { prefillChunk: 32 });
      const expected = [...Array<number>(9).fill(32), 36, 40, 36];
      await lm.createState().prefill(prompt);
      expect(counts.splice(0)).toEqual(expected);
      await lm.createBatch({ size: 1 }).prefill([prompt]);
      expect(counts).toEqual(expected);
    });
  });
});

/** Chunks of several sizes, where keys can be turned before they are encoded. */
function fold(attention: AttentionWeights): AttentionWeights {
  const { rope, headNorm, kvHeads } = attention;
  const isWhole =
    rope?.ropeType === "dynamic" || rope?.ropeType === "longrope" || headNorm === "after-rotation";
  const pairs = (rope?.rotaryDim ?? 0) / 2;
  const chunks = Array.from({ length: pairs }, (_, pair) => (isWhole ? 1 : 2 ** Math.min(pair, 4)));
  return withJointLatent(attention, { span: kvHeads, chunks });
}

async function prefilled(lm: CausalLM, prompt: readonly number[]): Promise<Float32Array> {
  const state = lm.createState();
  const logits = (await state.prefill(prompt)).slice();
  state.dispose();
  return logits;
}

/** Largest difference over the largest number. */
function relativeError(values: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  return values.reduce((peak, value, i) => Math.max(peak, Math.abs(value - expected[i]!)), 0) / largest;
}
