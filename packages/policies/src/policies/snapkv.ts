import { type Budget, pyramidBudget, uniformBudget } from "../budget.js";
import type { LayerView } from "../cache-view.js";
import { attentionOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import type { LayerBudget, Policy } from "../policy.js";
import { snapKvScores } from "../scores/snap-kv.js";

export declare namespace snapkv {
  interface Options {
    /** Last tokens whose attention counts, and which always stay: 32 unless given. */
    readonly window?: number;
    /** Tokens that scores are averaged over, an odd number: 5 unless given. */
    readonly kernel?: number;
  }
}

/**
 * Keeps what the last tokens attend to, averaged over neighbours, and these tokens (SnapKV, arXiv 2404.14469). Scores are
 * pooled by their mean, as in NVIDIA/kvpress; the authors' code takes the largest.
 */
export const snapkv = (budget: Budget, options: snapkv.Options = {}, name = "snapkv"): Policy =>
  windowPolicy(name, options, () => uniformBudget(budget));

export declare namespace pyramidkv {
  interface Options extends snapkv.Options {
    /** How steeply budgets fall, 20 unless given. */
    readonly beta?: number;
  }
}

/** SnapKV with budgets that fall from layer to layer (PyramidKV, arXiv 2406.02069). */
export const pyramidkv = (
  budget: Budget,
  { beta = 20, ...options }: pyramidkv.Options = {},
  name = "pyramidkv",
): Policy => windowPolicy(name, options, (window) => pyramidBudget(budget, { beta, window }));

function windowPolicy(
  name: string,
  { window = 32, kernel = 5 }: snapkv.Options,
  budget: (window: number) => LayerBudget,
): Policy {
  const scorer = (layer: LayerView) =>
    layer.heads.map((head) =>
      scoreInOrder(head, (ordered) =>
        snapKvScores({ attention: attentionOf(ordered, layer, window, name), kernel }),
      ),
    );
  return {
    name,
    action: "drop",
    needs: { attention: window },
    afterPrefill: (layer) => keepBest(layer, scorer, budget(window)),
  };
}
