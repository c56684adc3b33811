import { describe, expect, it } from "vitest";
import { bootstrap, bootstrapMean, bootstrapPerplexity, bootstrapRatio, createRandom } from "./index.js";

const sumsOf = (means: readonly number[], tokens = 10) =>
  means.map((mean) => ({ total: mean * tokens, tokens }));

describe("bootstrap", () => {
  it("has the error and the ends that can be counted on paper", () => {
    // Of two windows the mean is 0, 1/2, 1/2 or 1: standard deviation sqrt(1/8); more than 2.5 % are 0, and 1.
    const { error, low, high } = bootstrapMean(sumsOf([0, 1]), { draws: 10_000 })!;
    // The error of a standard deviation of 10 000 draws is below 1 %; four of them.
    expect(Math.abs(error / Math.sqrt(1 / 8) - 1)).toBeLessThan(0.04);
    expect([low, high]).toEqual([0, 1]);
  });

  it("agrees with the standard error of a mean, by its formula", () => {
    const random = createRandom(3);
    const means = Array.from({ length: 64 }, () => 3 + random());
    const mean = means.reduce((sum, value) => sum + value, 0) / 64;
    // Drawn windows vary by the variance over n, not n - 1.
    const variance = means.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 64;
    const expected = Math.sqrt(variance / 64);
    const estimate = bootstrapMean(sumsOf(means))!;
    // 1000 draws: 2.2 %; three of them.
    expect(Math.abs(estimate.error / expected - 1)).toBeLessThan(0.07);
    expect(Math.abs((estimate.high - estimate.low) / (2 * 1.96 * expected) - 1)).toBeLessThan(0.1);
    const perplexity = bootstrapPerplexity(sumsOf(means))!;
    expect(Math.abs(perplexity.error / (Math.exp(mean) * expected) - 1)).toBeLessThan(0.07);
  });

  it("is paired for ratios: what windows have in common cancels", () => {
    const reference = sumsOf([1, 2, 5, 9]);
    const worse = sumsOf([1.25, 2.25, 5.25, 9.25]);
    const { error, low, high } = bootstrapRatio(worse, reference)!;
    expect(error).toBeLessThan(1e-12);
    expect(low).toBeCloseTo(Math.exp(0.25), 12);
    expect(high).toBeCloseTo(Math.exp(0.25), 12);
  });

  it("weighs windows by their tokens", () => {
    const sums = [
      { total: 4, tokens: 1 },
      { total: 0, tokens: 3 },
    ];
    // Both windows: 4 / 4. The first twice: 8 / 2. The second twice: 0.
    const seen = new Set<number>();
    bootstrap(2, (drawn) => {
      const mean = [...drawn].map((index) => sums[index]!);
      const value = mean.reduce((t, s) => t + s.total, 0) / mean.reduce((t, s) => t + s.tokens, 0);
      seen.add(value);
      return value;
    });
    expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 4]);
    const { low, high } = bootstrapMean(sums)!;
    expect([low, high]).toEqual([0, 4]);
  });

  it("draws the same for a seed, and other windows for another", () => {
    const sums = sumsOf([1, 2, 4, 8, 16]);
    expect(bootstrapMean(sums, { seed: 1 })).toEqual(bootstrapMean(sums, { seed: 1 }));
    expect(bootstrapMean(sums, { seed: 1 })).not.toEqual(bootstrapMean(sums, { seed: 2 }));
  });

  it("says nothing of a single window, and leaves out draws without a figure", () => {
    expect(bootstrapMean(sumsOf([1]))).toBeUndefined();
    expect(bootstrapMean([])).toBeUndefined();
    const rare = [...sumsOf([2, 2]), { total: 0, tokens: 0 }];
    expect(bootstrapMean(rare)).toEqual({ error: 0, low: 2, high: 2 });
    expect(bootstrap(3, () => Number.NaN)).toBeUndefined();
  });
});
