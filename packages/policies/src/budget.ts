import type { LayerView } from "./cache-view.js";
import type { LayerBudget } from "./policy.js";

/** How much of a cache stays: all but a share of the tokens read so far, or a number of tokens a head. */
export type Budget = { readonly removed: number } | { readonly tokens: number };

/** Tokens that a budget leaves to a head: `floor(seen (1 - removed))`. */
export const tokensOf = (budget: Budget, { seen }: Pick<LayerView, "seen">): number =>
  "tokens" in budget ? budget.tokens : Math.floor(seen * (1 - budget.removed));

/** As many tokens in every layer. */
export const uniformBudget =
  (budget: Budget): LayerBudget =>
  (layer) =>
    tokensOf(budget, layer);

export declare namespace pyramidBudget {
  interface Options {
    /** How steeply budgets fall: the last layer has about `1 / beta` of the average, beside its window. 20 unless given. */
    readonly beta?: number;
    /** Last tokens that every layer keeps. */
    readonly window: number;
  }
}

/**
 * Budgets that fall from the first layer to the last by equal steps and have the given one as their mean (PyramidKV, arXiv
 * 2406.02069): with `c = tokens + window` and `B = c - window`, from `2 B - B / beta` to `B / beta`. Rounded as in
 * NVIDIA/kvpress. Where the widest would be more than the text, all layers have the mean.
 */
export function pyramidBudget(
  budget: Budget,
  { beta = 20, window }: pyramidBudget.Options,
): LayerBudget {
  return (layer) => {
    const mean = tokensOf(budget, layer);
    const least = mean / beta;
    const most = 2 * mean - least;
    if (!(layer.seen >= most && most >= least && least >= window)) return Math.round(mean);
    const step = (most - least) / Math.max(1, layer.layers - 1);
    return Math.round(most - layer.layer * step);
  };
}
