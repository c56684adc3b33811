import { type AttentionWeights, loadBlock } from "@kvfold/decoder";
import { createMatrix, type Moments, slice, stackColumns } from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { rotateHeads } from "../../../decoder/test/reference/positions.js";
import { openFamily } from "../../../decoder/test/support/families.js";
import { largestDifference } from "../../test/support/numbers.js";
import { momentsOfRows, randomRows } from "../../test/support/random-group.js";
import { jointGroupsOf } from "./joint-groups.js";

const TOKENS = 7;

/** Attention of the first layer of a family, and rows `[k, v]` of all its heads. */
async function open(family: string) {
  const { attention } = await loadBlock(await openFamily(family), 0);
  return { attention, rows: randomRows(TOKENS, 2 * attention.kvHeads * attention.headDim, 5) };
}

const groupsOf = (
  attention: AttentionWeights,
  moments: Moments,
  span: number,
  { chunks, outputBias = true }: { readonly chunks: readonly number[]; readonly outputBias?: boolean },
) => {
  const side = { span, heads: attention.kvHeads / span, rank: 4 };
  const context = { layer: 0, seed: 0, attention, moments: { keysAndValues: moments }, outputBias };
  return jointGroupsOf({ keys: side, values: side }, context, chunks);
};

describe("jointGroupsOf", () => {
  it.each([
    ["whole heads turn", "llama", 2],
    ["heads turn in part", "phi", 2],
    ["heads turn alone", "phi", 1],
  ])("gives the moments of keys that are turned within chunks, where %s", async (_, family, span) => {
    const { attention, rows } = await open(family);
    const { headDim, kvHeads, rope } = attention;
    const width = kvHeads * headDim;
    const chunks = Array.from({ length: rope!.rotaryDim / 2 }, (_, pair) => 2 ** Math.min(pair, 4));
    const groups = groupsOf(attention, momentsOfRows(rows), span, { chunks });
    // Every row at every position of a period: what rows that do not depend on their positions come to.
    const positions = Array.from({ length: 16 }, (_, position) => position);
    const keys = { count: TOKENS, width, data: slice(rows, { cols: [0, width] }).data };
    const turned = positions.map(
      (position) => rotateHeads(keys, rope!, (_, pair) => position % chunks[pair]!, 1).data,
    );
    for (const [index, group] of groups.entries()) {
      const [start, size] = [index * span * headDim, span * headDim];
      const values = slice(rows, { cols: [width + start, width + start + size] });
      const sums = turned.map((data) =>
        momentsOfRows(
          stackColumns([slice(createMatrix(TOKENS, width, data), { cols: [start, start + size] }), values]),
        ),
      );
      const mean = (of: (moments: Moments) => Float64Array) =>
        of(sums[0]!).map((_, at) => sums.reduce((sum, moments) => sum + of(moments)[at]!, 0) / sums.length);
      const { gram, sum, count } = group.moments();
      expect(count).toBe(TOKENS);
      // Sums of products of float64, of rows of size one.
      expect(
        largestDifference(
          gram,
          mean((moments) => moments.gram),
        ),
      ).toBeLessThan(1e-10);
      expect(
        largestDifference(
          sum,
          mean((moments) => moments.sum),
        ),
      ).toBeLessThan(1e-10);
    }
  });

  it("lets the means of values go, and those of keys where they do not turn", async () => {
    const { attention, rows } = await open("phi");
    const [group] = groupsOf(attention, momentsOfRows(rows), 1, { chunks: [4, 4, 4, 4] });
    const { rotaryDim } = attention.rope!;
    const free = Array.from({ length: 2 * attention.headDim }, (_, column) => column >= rotaryDim);
    expect(group!.mayCentre).toEqual(free);
    const kept = groupsOf(attention, momentsOfRows(rows), 1, { chunks: [4, 4, 4, 4], outputBias: false });
    expect(kept[0]!.mayCentre.slice(attention.headDim)).not.toContain(true);
  });

  it("keeps the means of all keys where scores are capped or keys are normalised late", async () => {
    for (const family of ["gemma2", "hunyuan_v1_dense"]) {
      const { attention, rows } = await open(family);
      const still = { ...attention, rope: family === "gemma2" ? undefined : attention.rope };
      const [group] = groupsOf(still, momentsOfRows(rows), 1, { chunks: [] });
      expect(group!.mayCentre.slice(0, attention.headDim)).not.toContain(true);
    }
  });
});
