import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { attentionOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";
import { tovaScores } from "../scores/tova.js";

/**
 * Keeps the tokens that the newest one attends to most, on the mean of all heads of a layer, which so keep the same (TOVA,
 * arXiv 2401.06104). The newest token always stays. With a number of tokens it goes on while tokens are decoded.
 */
export function tova(budget: Budget, name = "tova"): Policy {
  const scorer = (layer: LayerView) => lastAttention(layer, name);
  const keep = (layer: LayerView) => keepBest(layer, scorer, uniformBudget(budget));
  return {
    name,
    action: "drop",
    needs: { attention: 1 },
    afterPrefill: keep,
    ...("tokens" in budget ? { afterStep: keep } : {}),
  };
}

/** Heads that hold other tokens than the first are scored by themselves. */
function lastAttention(layer: LayerView, name: string): readonly Float32Array[] {
  const own = layer.heads.map((head) =>
    scoreInOrder(head, (ordered) => tovaScores(attentionOf(ordered, layer, 1, name))),
  );
  return layer.heads.map((head) => {
    const alike = own.filter((_, index) => haveSameTokens(layer.heads[index]!, head));
    return alike[0]!.map((_, token) => alike.reduce((sum, scores) => sum + scores[token]! / alike.length, 0));
  });
}

const haveSameTokens = (a: HeadView, b: HeadView): boolean =>
  a === b || (a.tokens === b.tokens && a.positions.every((position, slot) => position === b.positions[slot]));
