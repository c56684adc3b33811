import { createMatrix } from "@kvfold/linalg";
import { applyRope, ropeFrequencies, ropeParameters, ropeTables } from "@kvfold/rope";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { latentStatistics } from "./latent-statistics.js";

const [headDim, rotaryDim, span, rank] = [6, 4, 2, 3];
const rope = ropeParameters({
  head_dim: headDim,
  rope_theta: 100,
  partial_rotary_factor: rotaryDim / headDim,
});
const chunks = [2, 8];
const size = span * headDim;

const next = gaussians(1);
const numbers = (count: number) => Float64Array.from({ length: count }, next);
const groups = [0, 1].map(() => ({
  encode: createMatrix(2 * size, rank, numbers(2 * size * rank)),
  decode: createMatrix(rank, 2 * size),
  energies: Float64Array.of(3, 2, 1, 0.5),
}));
const means = groups.map(() => numbers(2 * size));

/** The mean keys and values of a group in `slot`, each pair turned by itself from the start of its chunk. */
function meanRow(group: number, slot: number): number[] {
  const row = Array.from(means[group]!);
  for (const [pair, chunk] of chunks.entries()) {
    const tables = ropeTables({ ...ropeFrequencies(rope), positions: [slot % chunk], dtype: "float64" });
    const turned = applyRope(means[group]!.slice(0, size), { tables, heads: span, headDim });
    for (let head = 0; head < span; head++)
      for (const column of [head * headDim + pair, head * headDim + rotaryDim / 2 + pair])
        row[column] = turned[column]!;
  }
  return row;
}

describe("latentStatistics", () => {
  it("gives the mean latent of each slot of the largest chunk, as keys are turned there, and the energies", () => {
    const statistics = latentStatistics({ rope, headDim }, { joint: groups, chunks, means })!;
    const expected = Array.from({ length: 8 }, (_, slot) =>
      groups.flatMap(({ encode }, group) => {
        const row = meanRow(group, slot);
        return Array.from({ length: rank }, (_, column) =>
          row.reduce((sum, value, index) => sum + value * encode.data[index * rank + column]!, 0),
        );
      }),
    ).flat();
    expect(statistics.means).toHaveLength(expected.length);
    // Sums of 24 products of numbers about 1, rounded to float32.
    for (const [index, value] of expected.entries()) expect(statistics.means[index]).toBeCloseTo(value, 5);
    expect(Array.from(statistics.costs)).toEqual([3, 2, 1, 3, 2, 1]);
  });

  it("has one mean where keys are not turned before they are encoded", () => {
    const statistics = latentStatistics({ rope, headDim }, { joint: groups, chunks: [1, 1], means })!;
    expect(statistics.means).toHaveLength(2 * rank);
  });

  it("has nothing to say of chunks without an end, and of bases without energies", () => {
    const unbound = { joint: groups, chunks: [2, 512], means };
    expect(latentStatistics({ rope, headDim }, unbound)).toBeUndefined();
    const bare = groups.map(({ encode, decode }) => ({ encode, decode }));
    expect(latentStatistics({ rope, headDim }, { joint: bare, chunks, means })).toBeUndefined();
  });
});
