import { applyRope, ropeFrequencies, ropeParameters, ropeTables } from "@kvfold/rope";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import { meanLatents } from "./mean-latents.js";

const [headDim, rotaryDim, kvHeads, groups, rank] = [6, 4, 4, 2, 4];
const rope = ropeParameters({
  head_dim: headDim,
  rope_theta: 100,
  partial_rotary_factor: rotaryDim / headDim,
});
const half = { heads: groups, size: rank / 2 };
const attention = { rope, headDim, kvHeads, keys: half, values: half } as AttentionWeights;
const chunks = [2, 8];
const size = (kvHeads / groups) * headDim;

const next = gaussians(1);
const numbers = (count: number) => Float32Array.from({ length: count }, next);
const statistics = {
  keyMeans: numbers(kvHeads * headDim),
  rest: numbers(groups * rank),
  costs: numbers(groups * rank),
};
const encodeKeys = numbers(groups * size * rank);
const joint = { chunks, encodeKeys, statistics } as unknown as JointLatent;

/** The mean keys in `slot`, each pair turned by itself from the start of its chunk. */
function keysIn(slot: number): number[] {
  const row = Array.from(statistics.keyMeans);
  for (const [pair, chunk] of chunks.entries()) {
    const tables = ropeTables({ ...ropeFrequencies(rope), positions: [slot % chunk], dtype: "float64" });
    const turned = applyRope(Float64Array.from(statistics.keyMeans), { tables, heads: kvHeads, headDim });
    for (let head = 0; head < kvHeads; head++)
      for (const column of [head * headDim + pair, head * headDim + rotaryDim / 2 + pair])
        row[column] = turned[column]!;
  }
  return row;
}

describe("meanLatents", () => {
  it("gives the mean latent of each slot of the largest chunk, with keys as they are turned there", () => {
    const means = meanLatents(attention, joint)!;
    expect(means).toHaveLength(8 * groups * rank);
    for (const [at, mean] of means.entries()) {
      const [slot, column] = [Math.floor(at / (groups * rank)), at % (groups * rank)];
      const [group, number] = [Math.floor(column / rank), column % rank];
      const keys = keysIn(slot).slice(group * size, (group + 1) * size);
      const expected = keys.reduce(
        (sum, key, row) => sum + key * encodeKeys[(group * size + row) * rank + number]!,
        statistics.rest[column]!,
      );
      // Sums of 13 numbers of a few units, rounded to float32.
      expect(mean).toBeCloseTo(expected, 5);
    }
  });

  it("is one row where no keys turn, and nothing where nothing is known", () => {
    const still = { ...joint, statistics: { ...statistics, keyMeans: undefined } };
    expect(meanLatents(attention, still)).toEqual(statistics.rest);
    expect(meanLatents(attention, { ...joint, statistics: undefined })).toBeUndefined();
  });
});
