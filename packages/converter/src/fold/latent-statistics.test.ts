import { createMatrix } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { latentStatistics } from "./latent-statistics.js";

const [size, rank] = [4, 3];
const next = gaussians(1);
const numbers = (count: number) => Float64Array.from({ length: count }, next);
const groups = [0, 1].map(() => ({
  encode: createMatrix(2 * size, rank, numbers(2 * size * rank)),
  decode: createMatrix(rank, 2 * size),
  energies: Float64Array.of(3, 2, 1, 0.5),
}));
const means = groups.map(() => numbers(2 * size));

/** What the numbers from `first` on add to the mean latents. */
const encoded = (first: number): number[] =>
  groups.flatMap(({ encode }, group) =>
    Array.from({ length: rank }, (_, column) =>
      means[group]!.reduce(
        (sum, mean, row) => (row < first ? sum : sum + mean * encode.data[row * rank + column]!),
        0,
      ),
    ),
  );

describe("latentStatistics", () => {
  it("keeps the mean keys apart where they turn, and what values add", () => {
    const statistics = latentStatistics({ joint: groups, chunks: [2, 8], means })!;
    const keys = means.flatMap((row) => Array.from(row.subarray(0, size)));
    expect(statistics.keyMeans).toEqual(Float32Array.from(keys));
    // Sums of few products, rounded to float32.
    for (const [index, value] of encoded(size).entries())
      expect(statistics.rest[index]).toBeCloseTo(value, 5);
    expect(Array.from(statistics.costs)).toEqual([3, 2, 1, 3, 2, 1]);
  });

  it("has one mean latent where keys are not turned before they are encoded", () => {
    const { keyMeans, rest } = latentStatistics({ joint: groups, chunks: [1, 1], means })!;
    expect(keyMeans).toBeUndefined();
    for (const [index, value] of encoded(0).entries()) expect(rest[index]).toBeCloseTo(value, 5);
  });

  it("has nothing to say of chunks without an end, and of bases without energies", () => {
    expect(latentStatistics({ joint: groups, chunks: [2, 512], means })).toBeUndefined();
    const bare = groups.map(({ encode, decode }) => ({ encode, decode }));
    expect(latentStatistics({ joint: bare, chunks: [2, 8], means })).toBeUndefined();
  });
});
