import type { HeadView, LayerView } from "./cache-view.js";
import type { HeadChange, LayerBudget, LayerChange, Scorer } from "./policy.js";

/** Keeps the tokens of the best scores, as many as the budget gives; a token of the same score is kept before later ones. */
export function keepBest(layer: LayerView, scorer: Scorer, budget: LayerBudget): LayerChange {
  const count = budget(layer);
  if (layer.heads.every(({ tokens }) => tokens <= count)) return undefined;
  const scores = scorer(layer);
  if (layer.run > 1) return keepRuns(layer, scores, count);
  return layer.heads.map(({ tokens }, head): HeadChange | undefined =>
    tokens <= count ? undefined : { kept: bestIndices(scores[head]!, count) },
  );
}

/**
 * Indices of the `count` largest scores, ascending. Of equal scores those of lower index are taken first; NaN is below all.
 */
export function bestIndices(scores: Float32Array, count: number): Int32Array {
  const wanted = Math.max(0, Math.min(count, scores.length));
  if (wanted === 0) return new Int32Array();
  const comparable = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  const threshold = comparable.slice().sort()[scores.length - wanted]!;
  const above = comparable.reduce((sum, score) => sum + (score > threshold ? 1 : 0), 0);
  let ties = wanted - above;
  const kept = new Int32Array(wanted);
  let next = 0;
  for (const [index, score] of comparable.entries()) {
    if (score < threshold || (score === threshold && ties-- <= 0)) continue;
    kept[next++] = index;
  }
  return kept;
}

/**
 * The same by whole runs of tokens, by the mean score of each over all heads. The tokens behind the last whole run stay and
 * count, so that no more than `count` are kept unless they alone are more.
 */
function keepRuns({ heads, run }: LayerView, scores: readonly Float32Array[], count: number): LayerChange {
  const { tokens } = heads[0] as HeadView;
  const runs = Math.floor(tokens / run);
  const means = new Float32Array(runs);
  for (const own of scores)
    for (let token = 0; token < runs * run; token++) means[Math.floor(token / run)]! += own[token]!;
  const rest = tokens - runs * run;
  const kept = bestIndices(means, Math.floor((count - rest) / run));
  const indices = Int32Array.from([
    ...Array.from(kept).flatMap((index) => Array.from({ length: run }, (_, slot) => index * run + slot)),
    ...Array.from({ length: rest }, (_, slot) => runs * run + slot),
  ]);
  return heads.map(() => ({ kept: indices }));
}
