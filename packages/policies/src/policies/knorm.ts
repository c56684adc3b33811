import { type Budget, uniformBudget } from "../budget.js";
import { keysOf } from "../head-attention.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";
import { keyNormScores } from "../scores/key-norms.js";

export declare namespace knorm {
  interface Options {
    /** First layers that keep all: 2 unless given, as in the paper; NVIDIA/kvpress spares none. */
    readonly spare?: number;
  }
}

/** Keeps the keys of the smallest L2 norm, which attention reads most (the L2-norm strategy, arXiv 2406.11430). */
export const knorm = (budget: Budget, { spare = 2 }: knorm.Options = {}, name = "knorm"): Policy => ({
  name,
  action: "drop",
  afterPrefill: (layer) =>
    layer.layer < spare
      ? undefined
      : keepBest(
          layer,
          ({ heads }) => heads.map((head) => keyNormScores(keysOf(head))),
          uniformBudget(budget),
        ),
});
