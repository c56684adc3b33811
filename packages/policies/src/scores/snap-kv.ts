import type { AttentionRows } from "./attention-rows.js";
import { groupMeans } from "./group-means.js";
import { averagePool, type Pool } from "./pooling.js";
import { protect } from "./protect.js";

export declare namespace snapKvScores {
  interface Options {
    /** Of the last `W` tokens, the observation window. */
    readonly attention: AttentionRows;
    /** Tokens that are pooled together, odd. Default 5. */
    readonly kernel?: number | undefined;
    /** Default `averagePool`, as in kvpress; the authors' runs use `maxPool` over 7. */
    readonly pool?: Pool | undefined;
  }
}

/**
 * Scores of SnapKV, and of PyramidKV, which spreads the budget over the layers: the mean attention that the last `W` queries
 * pay to each earlier token, pooled along the tokens for each query head, then averaged over the query heads of a group. The
 * `W` tokens themselves score above all others.
 *
 * Source: Li et al., "SnapKV", arXiv 2404.14469. The order of the steps, the pooling and the mean over the window are kvpress's;
 * the authors add where it averages, which ranks alike. The authors give each query head tokens of its own; a KV head has one
 * set here.
 *
 * Numerics: means of the weights in float64. When the window is the whole text, the newest score highest.
 *
 * @returns `[Hkv, T]`; higher stays.
 */
export function snapKvScores({
  attention,
  kernel = 5,
  pool = averagePool,
}: snapKvScores.Options): Float32Array {
  const { kvHeads, heads, tokens } = attention;
  const { past } = attention.places;
  const means = windowMeans(attention, past);
  for (let head = 0; head < heads; head++) {
    const ofHead = means.subarray(head * past, (head + 1) * past);
    ofHead.set(pool(ofHead, kernel));
  }
  const ofGroups = groupMeans(means, kvHeads, past);
  const scores = new Float32Array(kvHeads * tokens);
  for (let head = 0; head < kvHeads; head++) {
    scores.set(ofGroups.subarray(head * past, (head + 1) * past), head * tokens);
  }
  return protect(scores, tokens, past, tokens);
}

/** Attention of the queries to the first `past` tokens, averaged over the queries: `[H, past]`. */
function windowMeans({ heads, queries, visit }: AttentionRows, past: number): Float64Array {
  const means = new Float64Array(heads * past);
  visit((row, head) => {
    const start = head * past;
    for (let token = 0; token < past; token++) means[start + token]! += row[token]! / queries;
  });
  return means;
}
