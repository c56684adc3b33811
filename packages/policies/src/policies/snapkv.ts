import { type Budget, pyramidBudget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { attentionOf } from "../attention-of.js";
import { keepBest } from "../keep-best.js";
import type { LayerBudget, Policy } from "../policy.js";

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
  const scorer = ({ heads }: LayerView) => heads.map((head) => windowScores(head, kernel, name));
  return {
    name,
    action: "drop",
    needs: { attention: window },
    afterPrefill: (layer) => keepBest(layer, scorer, budget(window)),
  };
}

/** Mean attention of the window to the tokens before it, pooled; the window itself is infinitely important. */
function windowScores(head: HeadView, kernel: number, policy: string): Float32Array {
  const { attention, queryHeads, rows } = attentionOf(head, policy);
  const { tokens } = head;
  const before = Math.max(0, tokens - rows);
  const means = new Float32Array(before);
  for (let row = 0; row < queryHeads * rows; row++)
    for (let token = 0; token < before; token++)
      means[token]! += attention[row * tokens + token]! / (queryHeads * rows);
  const reach = Math.floor(kernel / 2);
  return Float32Array.from({ length: tokens }, (_, token) => {
    if (token >= before) return Number.POSITIVE_INFINITY;
    let sum = 0;
    for (let near = Math.max(0, token - reach); near <= Math.min(before - 1, token + reach); near++)
      sum += means[near]!;
    return sum / kernel;
  });
}
