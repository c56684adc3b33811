import { type Budget, tokensOf } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { attentionOf, attentionSumsOf } from "../head-attention.js";
import { changeInOrder } from "../in-order.js";
import { ALL_TOKENS, type KeptTokens, type Policy } from "../policy.js";
import { bestIndices } from "../scores/best-indices.js";
import { groupMeans } from "../scores/group-means.js";
import { mergeSets, mergingSetsWithin, neighbourSimilarities } from "../scores/kv-merger.js";
import { attentionSums } from "../scores/observed-attention.js";
import { wholeShare } from "../whole-share.js";

export declare namespace kvmerger {
  interface Options {
    /** Last queries whose attention finds pivots and heavy tokens: 32 unless given; 0 for all of the prompt, as in the paper. */
    readonly window?: number;
    /** Share of the tokens kept that are the latest ones, which never merge: 0.34 unless given. */
    readonly recent?: number;
    /** Share of the tokens kept that are those of most attention, which never merge: 0.24 unless given. */
    readonly heavy?: number;
    /** First layers that are left alone: 2 unless given. */
    readonly spare?: number;
  }
}

/**
 * Merges neighbours of similar keys into the one of most attention (KVMerger, arXiv 2407.08454): {@link mergeSets}. The paper
 * merges above a similarity; here the most similar merge until the budget is met. Its recent and heavy tokens are shares of the
 * text, which at its budget of a half are the shares here. It leaves the last layer alone, too.
 */
export const kvmerger = (
  budget: Budget,
  { window = 32, recent = 0.34, heavy = 0.24, spare = 2 }: kvmerger.Options = {},
  name = "kvmerger",
): Policy => ({
  name,
  action: "merge",
  needs: window === 0 ? { attentionSums: ALL_TOKENS } : { attention: window },
  afterPrefill: (layer) => {
    if (layer.layer < spare || (layer.layer === layer.layers - 1 && layer.layers > 1)) return undefined;
    const count = tokensOf(budget, layer);
    return layer.heads.map((head) =>
      head.tokens <= count
        ? undefined
        : changeInOrder(head, (ordered) => mergeHead(ordered, layer, { count, window, recent, heavy, name })),
    );
  },
});

interface Merging {
  readonly count: number;
  readonly window: number;
  readonly recent: number;
  readonly heavy: number;
  readonly name: string;
}

function mergeHead(
  head: HeadView,
  layer: LayerView,
  { count, window, recent, heavy, name }: Merging,
): KeptTokens {
  const { tokens, keys, values } = head;
  const sums =
    window === 0
      ? attentionSumsOf(head, layer, name).sums
      : attentionSums(attentionOf(head, layer, window, name));
  const attention = groupMeans(sums, 1, tokens);
  const isProtected = new Uint8Array(tokens);
  for (const token of bestIndices(attention, wholeShare(count, heavy))) isProtected[token] = 1;
  isProtected.fill(1, tokens - wholeShare(count, recent));
  const similarities = neighbourSimilarities(keys, keys.length / tokens);
  const sets = mergingSetsWithin({ similarities, isProtected, count });
  return mergeSets({ keys, values, attention, sets });
}
