import { createCausalLM } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { exportModel, withModel } from "./support/export-model.js";
import { familyNames, openFamily, type Reference, readReference } from "./support/families.js";

/** Tokens that the rotation tables cover: some configs name fewer than the texts have. */
const MAX_POSITIONS = 64;

/** Dynamic NTK turns all keys anew with every token; cached ones keep their turn, in transformers as here. */
const TURNS_ANEW = ["llama-internlm"];

describe("an exported model computes what Hugging Face transformers does, at once and step by step", () => {
  it.each(familyNames)("%s", async (name) => {
    const model = await exportModel(await openFamily(name), { maxPositions: MAX_POSITIONS });
    const { sequences } = readReference(name);
    await withModel(model, async (session) => {
      const decoder = createCausalLM(session);
      for (const sequence of sequences) {
        const { data } = await decoder.forward(sequence.ids);
        expectGoldenLogits(data, sequence);
        const total = data.reduce((before, value) => before + Math.abs(value), 0);
        expect(Math.abs(total / sequence.abs_sum - 1)).toBeLessThan(1e-5);
      }
      if (TURNS_ANEW.includes(name)) return;
      const { ids, last } = sequences[0]!;
      const state = decoder.createState();
      await state.prefill(ids.slice(0, -last.length));
      const steps: Float32Array[] = [];
      for (const id of ids.slice(-last.length)) steps.push(await state.decode(id));
      expectGoldenLogits(Float32Array.from(steps.flatMap((logits) => [...logits])), sequences[0]!);
      state.dispose();
    });
  });
});

/**
 * The last logits are those of the reference, which is float32 as well, in another order of operations: they agree to
 * 1e-4 of the largest.
 */
function expectGoldenLogits(logits: Float32Array, { last }: Reference["sequences"][number]): void {
  const expected = last.flat();
  const tail = logits.subarray(logits.length - expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const error = Math.max(...expected.map((value, index) => Math.abs(value - tail[index]!)));
  expect(error / largest).toBeLessThan(1e-4);
}
