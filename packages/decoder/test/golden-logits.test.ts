import { createCausalLM } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { exportModel, withModel } from "./support/export-model.js";
import { familyNames, openFamily, readReference } from "./support/families.js";
import { GOLDEN_TOLERANCE, goldenError, MAX_POSITIONS, TURNS_ANEW } from "./support/golden-logits.js";

const cases = familyNames.flatMap((name) =>
  (["standard", "delta", "policy"] as const).map((form) => [name, form] as const),
);

describe("an exported model computes what Hugging Face transformers does, at once and step by step", () => {
  it.each(cases)("%s, %s graph", async (name, form) => {
    const model = await exportModel(await openFamily(name), { form, maxPositions: MAX_POSITIONS });
    const { sequences } = readReference(name);
    await withModel(model, async (session) => {
      const decoder = createCausalLM(session);
      for (const sequence of sequences) {
        const { data } = await decoder.forward(sequence.ids);
        expect(goldenError(data, sequence)).toBeLessThan(GOLDEN_TOLERANCE);
        const total = data.reduce((before, value) => before + Math.abs(value), 0);
        expect(Math.abs(total / sequence.abs_sum - 1)).toBeLessThan(1e-5);
      }
      if (TURNS_ANEW.includes(name)) return;
      const { ids, last } = sequences[0]!;
      const state = decoder.createState();
      await state.prefill(ids.slice(0, -last.length));
      const steps: Float32Array[] = [];
      for (const id of ids.slice(-last.length)) steps.push(await state.decode(id));
      const logits = Float32Array.from(steps.flatMap((step) => [...step]));
      expect(goldenError(logits, sequences[0]!)).toBeLessThan(GOLDEN_TOLERANCE);
      state.dispose();
    });
  });
});
