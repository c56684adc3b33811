import type { WindowSum } from "./loss-sums.js";
import { createRandom, type Random } from "./random.js";

/** How far a figure would move on other windows of the same kind of text. */
export interface BootstrapEstimate {
  /** Standard error: the standard deviation over draws. */
  readonly error: number;
  /** Ends of the 95 % confidence interval: the percentiles 2.5 and 97.5 of the draws. */
  readonly low: number;
  readonly high: number;
}

export declare namespace bootstrap {
  interface Options {
    /** How often windows are drawn, 1000 unless given. */
    readonly draws?: number | undefined;
    readonly seed?: number | undefined;
  }
}

/**
 * Standard error and confidence interval of any figure over windows, by drawing as many windows as there are with
 * replacement, again and again (Efron, "Bootstrap methods: another look at the jackknife", 1979). Windows are taken as
 * independent. A statistic that looks two figures up for the same drawn windows is paired, so that what the windows have
 * in common cancels.
 *
 * Numerics: draws for which the statistic is NaN are left out. With 1000 draws the error is right to about 2 %, and it
 * is too small by a factor of `sqrt(1 - 1 / count)`. The same numbers on every machine for the same seed.
 *
 * @param count - Windows that there are.
 * @param statistic - The figure of the drawn windows, indices `[count]` below `count`. The array is used again.
 * @returns Undefined for fewer than two windows, or where fewer than two draws have a figure.
 */
export function bootstrap(
  count: number,
  statistic: (drawn: Int32Array) => number,
  { draws = 1000, seed = 0 }: bootstrap.Options = {},
): BootstrapEstimate | undefined {
  if (count < 2) return undefined;
  const random = createRandom(seed);
  const drawn = new Int32Array(count);
  const figures = Float64Array.from({ length: draws }, () => statistic(drawWindows(drawn, random)));
  return estimate(figures.filter((figure) => !Number.isNaN(figure)));
}

/** Error and interval of the perplexity of windows from their sums of losses. */
export const bootstrapPerplexity = (
  sums: readonly WindowSum[],
  options?: bootstrap.Options,
): BootstrapEstimate | undefined =>
  bootstrap(sums.length, (drawn) => Math.exp(meanOfDrawn(sums, drawn)), options);

/** Error and interval of the mean over tokens. */
export const bootstrapMean = (
  sums: readonly WindowSum[],
  options?: bootstrap.Options,
): BootstrapEstimate | undefined => bootstrap(sums.length, (drawn) => meanOfDrawn(sums, drawn), options);

/** Error and interval of a ratio of perplexities, paired: both from the same windows in every draw. */
export const bootstrapRatio = (
  sums: readonly WindowSum[],
  reference: readonly WindowSum[],
  options?: bootstrap.Options,
): BootstrapEstimate | undefined =>
  bootstrap(
    sums.length,
    (drawn) => Math.exp(meanOfDrawn(sums, drawn) - meanOfDrawn(reference, drawn)),
    options,
  );

function drawWindows(drawn: Int32Array, random: Random): Int32Array {
  for (let i = 0; i < drawn.length; i++) drawn[i] = Math.floor(random() * drawn.length);
  return drawn;
}

function meanOfDrawn(sums: readonly WindowSum[], drawn: Int32Array): number {
  let total = 0;
  let tokens = 0;
  for (const index of drawn) {
    total += sums[index]!.total;
    tokens += sums[index]!.tokens;
  }
  return total / tokens;
}

function estimate(figures: Float64Array): BootstrapEstimate | undefined {
  const count = figures.length;
  if (count < 2) return undefined;
  const mean = figures.reduce((sum, figure) => sum + figure, 0) / count;
  const squares = figures.reduce((sum, figure) => sum + (figure - mean) ** 2, 0);
  figures.sort();
  return {
    error: Math.sqrt(squares / (count - 1)),
    low: quantile(figures, 0.025),
    high: quantile(figures, 0.975),
  };
}

/** Of sorted values, linear between them. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}
