import { type Budget, uniformBudget } from "../budget.js";
import { keysOf } from "../head-attention.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";
import { keyDiffScores } from "../scores/key-diff.js";

/** Keeps the keys that are least like the others (KeyDiff, arXiv 2504.15364): {@link keyDiffScores}. */
export const keydiff = (budget: Budget, name = "keydiff"): Policy => ({
  name,
  action: "drop",
  afterPrefill: (layer) =>
    keepBest(layer, ({ heads }) => heads.map((head) => keyDiffScores(keysOf(head))), uniformBudget(budget)),
});
