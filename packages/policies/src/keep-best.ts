import type { LayerView } from "./cache-view.js";
import type { HeadChange, LayerBudget, LayerChange, Scorer } from "./policy.js";
import { bestIndices } from "./scores/best-indices.js";
import { type ChunkScore, highestChunks } from "./scores/chunk-scores.js";

/**
 * Keeps the tokens of the best scores, as many as the budget gives; a token of the same score is kept before later ones.
 *
 * @param ofRun - What the scores of a run come to where tokens go by whole runs: their mean unless given.
 */
export function keepBest(
  layer: LayerView,
  scorer: Scorer,
  budget: LayerBudget,
  ofRun?: ChunkScore,
): LayerChange {
  const count = budget(layer);
  if (layer.heads.every(({ tokens }) => tokens <= count)) return undefined;
  const scores = scorer(layer);
  if (layer.run > 1) return keepRuns(layer, scores, count, ofRun);
  return layer.heads.map(({ tokens }, head): HeadChange | undefined =>
    tokens <= count ? undefined : { kept: bestIndices(scores[head]!, count) },
  );
}

/** The same by whole runs of tokens, by the scores of these on the mean of all heads. One run stays where no token would. */
function keepRuns(
  { heads, run }: LayerView,
  scores: readonly Float32Array[],
  count: number,
  ofRun: ChunkScore | undefined,
): LayerChange {
  const means = new Float32Array(scores[0]!.length);
  for (const own of scores) {
    for (const [token, score] of own.entries()) means[token]! += score / scores.length;
  }
  const least = means.length % run === 0 ? run : 0;
  const kept = highestChunks({ scores: means, chunk: run, count: Math.max(count, least), score: ofRun });
  return heads.map(() => ({ kept }));
}
