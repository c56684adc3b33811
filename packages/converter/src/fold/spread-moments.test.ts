import { loadBlock } from "@kvfold/decoder";
import { applyRope, ropeFrequencies, ropeTables } from "@kvfold/rope";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { openFamily } from "../../../decoder/test/support/families.js";
import { largestDifference } from "../../test/support/numbers.js";
import { momentsOfRows, randomRows } from "../../test/support/random-group.js";
import type { Tap } from "../graph/taps.js";
import { spreadMoments } from "./spread-moments.js";

const CONTEXT = 24;
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 };
const models = [
  ["Llama", () => syntheticCheckpoint({ config: tinyLlama })],
  ["YaRN", () => syntheticCheckpoint({ config: { ...tinyLlama, rope_scaling: yarn } })],
  ["heads that turn in part", () => openFamily("gpt_neox")],
] as const;

describe("spread moments", () => {
  it.each(models)("are those of rows at every position of the context: %s", async (_, open) => {
    const { attention } = await loadBlock(await open(), 0);
    const { headDim, kvHeads, rope } = attention;
    const rows = randomRows(6, kvHeads * headDim, 3);
    const early = momentsOfRows(rows);
    const spread = spreadMoments("keys", () => early, { attention, context: CONTEXT })!;
    const frequencies = ropeFrequencies(rope!, CONTEXT);
    const gram = new Float64Array(early.gram.length);
    for (let position = 0; position < CONTEXT; position++) {
      const positions = Array.from({ length: rows.rows }, () => position);
      const tables = ropeTables({ ...frequencies, positions, dtype: "float64" });
      const data = applyRope(rows.data, { tables, heads: kvHeads, headDim });
      const own = momentsOfRows({ ...rows, data }).gram;
      for (let at = 0; at < gram.length; at++) gram[at]! += own[at]! / CONTEXT;
    }
    const scale = Math.max(...gram);
    expect(largestDifference(spread.gram, gram) / scale).toBeLessThan(1e-12);
    expect(spread.count).toBe(6);
  });

  it("leaves taps alone that do not depend on positions, and all where nothing turns", async () => {
    const { attention } = await loadBlock(await openFamily("bloom"), 0);
    const measured = (tap: Tap) => momentsOfRows(randomRows(3, 4, tap.length));
    expect(spreadMoments("values", measured, { attention, context: CONTEXT })).toBeUndefined();
    expect(spreadMoments("keys", measured, { attention, context: CONTEXT })).toEqual(
      measured("keysBeforeRope"),
    );
  });
});
