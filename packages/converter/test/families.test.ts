import { describe, expect, it } from "vitest";
import { familyNames, openFamily } from "../../decoder/test/support/families.js";
import { foldedLogits, foldInMemory } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";
import { projectorLogits } from "./support/projector-form.js";

/** As long as the shortest context among the families: some learn positions. */
const LENGTH = 16;

describe("a model of any family folded to a half attends to K P and V P", () => {
  const cases = familyNames.flatMap((name) =>
    ["latent", "anchored", "svd-w"].map((method) => [name, method] as const),
  );

  it.each(cases)("%s, %s", async (name, method) => {
    const windows = randomWindows(3, LENGTH, { vocabulary: 96 });
    const checkpoint = await openFamily(name);
    const folded = await foldInMemory(checkpoint, {
      windows,
      keep: "1/2",
      method,
      heal: "none",
      maxPositions: 64,
    });
    const tokens = windows[0]!;
    const expected = await projectorLogits(folded, tokens);
    const scale = Math.max(...expected.map(Math.abs));
    const difference = largestDifference(await foldedLogits(folded, tokens), expected);
    expect(difference / Math.max(scale, 1)).toBeLessThan(LOGIT_TOLERANCE);
  });
});
