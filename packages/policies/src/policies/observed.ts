import { type Budget, uniformBudget } from "../budget.js";
import { attentionSumsOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import { ALL_TOKENS, type Policy } from "../policy.js";
import { observedAttentionScores } from "../scores/observed-attention.js";

/**
 * Keeps the tokens that all queries of the prompt paid most, on the mean of the queries that could see them (akin to H2O, arXiv
 * 2306.14048; kvpress's ObservedAttention).
 */
export const observed = (budget: Budget, name = "observed"): Policy => ({
  name,
  action: "drop",
  needs: { attentionSums: ALL_TOKENS },
  afterPrefill: (layer) =>
    keepBest(
      layer,
      ({ heads }) =>
        heads.map((head) =>
          scoreInOrder(head, (ordered) => observedAttentionScores(attentionSumsOf(ordered, layer, name))),
        ),
      uniformBudget(budget),
    ),
});
