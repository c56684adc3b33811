import { type Budget, uniformBudget } from "../budget.js";
import { attentionOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import { ALL_TOKENS, type Policy } from "../policy.js";
import { observedAttentionScores } from "../scores/observed-attention.js";

/**
 * Keeps the tokens that all queries of the prompt paid most, on the mean of the queries that could see them (akin to H2O, arXiv
 * 2306.14048; kvpress's ObservedAttention). It takes as long as the attention of the prompt.
 */
export const observed = (budget: Budget, name = "observed"): Policy => ({
  name,
  action: "drop",
  needs: { queries: ALL_TOKENS },
  afterPrefill: (layer) =>
    keepBest(
      layer,
      ({ heads }) =>
        heads.map((head) =>
          scoreInOrder(head, (ordered) =>
            observedAttentionScores(attentionOf(ordered, layer, ALL_TOKENS, name)),
          ),
        ),
      uniformBudget(budget),
    ),
});
