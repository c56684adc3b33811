import type { AttentionRows } from "./attention-rows.js";
import { protect } from "./protect.js";

/**
 * Scores of TOVA: the attention that the last query pays to each token, averaged over all query heads of the layer, so that
 * all KV heads keep the same tokens. The last token scores above all others.
 *
 * Source: Oren et al., "Transformers are Multi-State RNNs", arXiv 2401.06104. That the last token always stays is kvpress's
 * addition.
 *
 * Numerics: means in float64.
 *
 * @param attention - Of the last token; earlier queries are passed over.
 * @returns `[Hkv, T]`, equal rows; higher stays.
 */
export function tovaScores({ kvHeads, heads, tokens, queries, visit }: AttentionRows): Float32Array {
  const means = new Float64Array(tokens);
  visit((row, _head, query) => {
    if (query < queries - 1) return;
    for (let token = 0; token < row.length; token++) means[token]! += row[token]! / heads;
  });
  const scores = new Float32Array(kvHeads * tokens);
  for (let head = 0; head < kvHeads; head++) scores.set(means, head * tokens);
  return protect(scores, tokens, tokens - 1, tokens);
}
