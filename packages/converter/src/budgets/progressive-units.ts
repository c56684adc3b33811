import type { RankGrid } from "./rank-grid.js";
import { roundToTotal } from "./round-to-total.js";

/** The least share of the uniform rank that the last layer keeps. */
const LEAST_SHARE = 1 / 4;

/**
 * LoRC's progressive ranks (arXiv 2410.03111; docs/method.md, Budgets). With `k_l` the sum of the logarithms of the
 * condition numbers of layers `l` to the last, and `u_l` that sum scaled to `[0, 1]` over the layers, a layer gets
 * `d_min + (d_max - d_min) u_l`: `d_max` is the whole layer and `d_min` what then meets the total, or where that would
 * be less than a quarter of the uniform rank, `d_min` is that quarter and `d_max` what meets the total.
 *
 * `logConditions`: `log(cond(W_K)) + log(cond(W_V))` of each layer. Equal ones give ranks that fall evenly with depth.
 */
export function progressiveUnits(
  logConditions: readonly number[],
  { full, uniform, total }: Pick<RankGrid, "full" | "uniform" | "total">,
): readonly number[] {
  const weights = scaleToUnit(cumulateFromBack(logConditions));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  if (sum === 0) return logConditions.map(() => uniform);
  const least = Math.max(1, LEAST_SHARE * uniform);
  const solved = (total - full * sum) / (weights.length - sum);
  const [lowest, highest] =
    solved >= least ? [solved, full] : [least, least + (total - least * weights.length) / sum];
  const shares = weights.map((weight) => lowest + (highest - lowest) * weight);
  return roundToTotal(shares, total, full);
}

/** Element `l` is the sum of elements `l` to the last. */
const cumulateFromBack = (values: readonly number[]): readonly number[] =>
  values.map((_, start) => values.slice(start).reduce((sum, value) => sum + value, 0));

/** `(x - min) / (max - min)`; zeros where all are equal. */
function scaleToUnit(values: readonly number[]): readonly number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (most > least ? (value - least) / (most - least) : 0));
}
