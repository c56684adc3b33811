import type { LayerView } from "./cache-view.js";
import type { LayerBudget } from "./policy.js";
import { pyramidBudgets } from "./scores/pyramid-budgets.js";
import { wholeShare } from "./whole-share.js";

/** How much of a cache stays: all but a share of the tokens read so far, or a number of tokens a head. */
export type Budget = { readonly removed: number } | { readonly tokens: number };

/** Tokens that a budget leaves to a head: `floor(seen (1 - removed))` as decimals, and at least one. */
export const tokensOf = (budget: Budget, { seen }: Pick<LayerView, "seen">): number =>
  "tokens" in budget ? budget.tokens : Math.max(1, wholeShare(seen, 1 - budget.removed));

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

/** Budgets that fall from layer to layer and have the given one as their mean: see {@link pyramidBudgets}. */
export function pyramidBudget(budget: Budget, { beta = 20, window }: pyramidBudget.Options): LayerBudget {
  return (layer) => {
    const kept = Math.min(tokensOf(budget, layer), layer.seen);
    if (kept < 1) return 0;
    return pyramidBudgets({ tokens: layer.seen, layers: layer.layers, kept, window, beta })[layer.layer]!;
  };
}
