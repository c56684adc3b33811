import { describe, expect, it } from "vitest";
import { exportModel, modelLogits } from "./support/export-model.js";
import { familyNames, openFamily, type Reference, readReference } from "./support/families.js";

/** Tokens that the rotation tables cover: some configs name fewer than the texts have. */
const MAX_POSITIONS = 64;

describe("an exported model computes what Hugging Face transformers does", () => {
  it.each(familyNames)("%s", async (name) => {
    const model = await exportModel(await openFamily(name), { maxPositions: MAX_POSITIONS });
    for (const sequence of readReference(name).sequences)
      expectGoldenLogits(await modelLogits(model, sequence.ids), sequence);
  });
});

/**
 * The reference is float32 as well, in another order of operations: logits agree to 1e-4 of the largest. The sum over all
 * positions has no digit cut off, and agrees to 1e-5.
 */
function expectGoldenLogits(
  logits: Float32Array,
  { ids, last, abs_sum: sum }: Reference["sequences"][number],
) {
  const vocabulary = logits.length / ids.length;
  const tail = logits.subarray((ids.length - last.length) * vocabulary);
  const expected = last.flat();
  const largest = Math.max(...expected.map(Math.abs));
  const error = Math.max(...expected.map((value, index) => Math.abs(value - tail[index]!)));
  expect(error / largest).toBeLessThan(1e-4);
  const total = logits.reduce((before, value) => before + Math.abs(value), 0);
  expect(Math.abs(total / sum - 1)).toBeLessThan(1e-5);
}
