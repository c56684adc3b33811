import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { keysOf } from "../head-attention.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";
import { maxOfChunk } from "../scores/chunk-scores.js";
import { keyDiffScores } from "../scores/key-diff.js";

export declare namespace keydiff {
  interface Options {
    /** First tokens that always stay: none unless given, as in the paper. */
    readonly sinks?: number;
    /** Latest tokens that always stay: none unless given. */
    readonly recent?: number;
  }
}

/**
 * Keeps the keys that are least like the others (KeyDiff, arXiv 2504.15364): {@link keyDiffScores}. Where tokens go by whole runs,
 * a run counts as much as its best token: what a text says once is short. Text that goes on looks at its latest tokens, whatever
 * their keys are like: `recent` keeps these.
 */
export const keydiff = (budget: Budget, options: keydiff.Options = {}, name = "keydiff"): Policy => ({
  name,
  action: "drop",
  afterPrefill: (layer) =>
    keepBest(
      layer,
      ({ heads }) => heads.map((head) => headScores(head, layer, options)),
      uniformBudget(budget),
      maxOfChunk,
    ),
});

/** Scores of KeyDiff are at most 1. Of tokens that always stay the first come first, then the latest. */
function headScores(
  head: HeadView,
  { seen }: LayerView,
  { sinks = 0, recent = 0 }: keydiff.Options,
): Float32Array {
  const scores = keyDiffScores(keysOf(head));
  for (const [token, position] of head.positions.entries()) {
    if (position < sinks) scores[token] = 4;
    else if (position >= seen - recent) scores[token] = 2 + position / seen;
  }
  return scores;
}
