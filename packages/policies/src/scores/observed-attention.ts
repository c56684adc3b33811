import type { AttentionRows } from "./attention-rows.js";
import { groupMeans } from "./group-means.js";

/**
 * Scores by observed attention, akin to H2O: what all queries together paid to a token, divided by the number of queries that
 * could see it, averaged over the query heads of a group.
 *
 * Source: Zhang et al., "H2O", arXiv 2306.14048, whose running sums are not divided; the division is kvpress's
 * (ObservedAttention). With the queries of the whole text this takes as long as its attention; fewer queries take less, and
 * the divisor follows.
 *
 * Numerics: sums in float64.
 *
 * @returns `[Hkv, T]`; higher stays.
 */
export function observedAttentionScores(attention: AttentionRows): Float32Array {
  const { kvHeads, tokens } = attention;
  const sums = attentionSums(attention);
  const seen = timesSeen(attention);
  for (let at = 0; at < sums.length; at++) sums[at]! /= Math.max(1, seen[at % tokens]!);
  return groupMeans(sums, kvHeads, tokens);
}

/** Queries that see each token, `[T]`. */
function timesSeen({ tokens, places }: AttentionRows): Float64Array {
  const seen = new Float64Array(tokens);
  for (const visible of Array.from(places.visible))
    for (let token = 0; token < visible; token++) seen[token]! += 1;
  return seen;
}

/** Attention that each token was paid by all queries, `[H, T]`. */
export function attentionSums({ heads, tokens, visit }: AttentionRows): Float64Array {
  const sums = new Float64Array(heads * tokens);
  visit((row, head) => {
    const start = head * tokens;
    for (let token = 0; token < row.length; token++) sums[start + token]! += row[token]!;
  });
  return sums;
}
