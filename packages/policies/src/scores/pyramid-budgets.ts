import { PolicyError } from "../policy-error.js";
import { requireCounts } from "./head-rows.js";

export declare namespace pyramidBudgets {
  interface Options {
    /** Tokens of the text, `T`. */
    readonly tokens: number;
    readonly layers: number;
    /** Tokens that a layer and head keeps on average, the window included. */
    readonly kept: number;
    /** Latest tokens, which every layer keeps. Default 32. */
    readonly window?: number | undefined;
    /** The higher, the steeper: the last layer keeps `1 / beta` of the mean beside the window. Default 20, the paper's. */
    readonly beta?: number | undefined;
  }
}

/**
 * The budgets of PyramidKV: how many tokens each layer keeps, fewer the deeper it lies. Beside the window they fall on a
 * straight line from `2 B - B / beta` to `B / beta` with `B = kept - window`. Where the first layer would keep more than there
 * is, it keeps everything, and the line is flatter. Budgets never rise with depth, lie between the window and the text, and
 * add up to `layers * kept` exactly.
 *
 * Source: Cai et al., "PyramidKV", arXiv 2406.02069. The authors' code rounds the slope down, so that it keeps more than
 * asked (4 % more at 128 of 32 layers), and leaves out the pyramid where a text is shorter than twice the budget. kvpress means
 * the line to hold the window, too; where its last layer would get less than the window, which is so for budgets below `beta`
 * windows, it gives all layers the same. Here the pyramid holds at every budget above the window.
 *
 * Numerics: the line is rounded by largest remainders, of equal ones the shallower layer first.
 *
 * @returns Tokens to keep for each layer, the first one first.
 * @throws {PolicyError} when `kept` exceeds `tokens`, or an option is outside its range.
 * @example
 * ```ts
 * import { pyramidBudgets } from "@kvfold/policies";
 * pyramidBudgets({ tokens: 1000, layers: 3, kept: 120, window: 20 }) // => [215, 120, 25]
 * pyramidBudgets({ tokens: 1000, layers: 3, kept: 700, window: 20 }) // => [1000, 700, 400]
 * ```
 */
export function pyramidBudgets({
  tokens,
  layers,
  kept,
  window = 32,
  beta = 20,
}: pyramidBudgets.Options): readonly number[] {
  requireCounts("pyramidBudgets", { tokens, layers, kept, window });
  requireRange({ tokens, kept, beta });
  const mean = kept - window;
  if (mean <= 0 || layers === 1) return Array.from({ length: layers }, () => kept);
  const most = Math.min(2 * mean - mean / beta, tokens - window);
  const step = (2 * (most - mean)) / (layers - 1);
  const line = Array.from({ length: layers }, (_, layer) => window + most - layer * step);
  return roundToSum(line, layers * kept);
}

function requireRange({ tokens, kept, beta }: { tokens: number; kept: number; beta: number }): void {
  if (kept > tokens) {
    throw new PolicyError(`pyramidBudgets: expected to keep at most all ${tokens} tokens, found ${kept}`);
  }
  if (beta >= 1) return;
  throw new PolicyError(`pyramidBudgets: expected beta of at least 1, found ${beta}`);
}

/** Whole numbers next to `values` with the sum `total`, which is that of `values` up to rounding errors. */
function roundToSum(values: readonly number[], total: number): readonly number[] {
  const whole = values.map((value) => Math.floor(value + 1e-9));
  const missing = total - whole.reduce((sum, value) => sum + value, 0);
  const remainders = values.map((value, index) => value - whole[index]!);
  const raised = values
    .map((_, index) => index)
    .sort((a, b) => remainders[b]! - remainders[a]! || a - b)
    .slice(0, missing);
  for (const index of raised) whole[index]! += 1;
  return whole;
}
