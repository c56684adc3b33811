import type { AttentionRows, QueryPlaces } from "./attention-rows.js";
import { groupMeans } from "./group-means.js";

/** What the queries of the last tokens together paid to the cached ones. */
export interface SummedAttention {
  /** `[H, T]`: {@link attentionSums}, or what a decoder has summed. */
  readonly sums: Float32Array | Float64Array;
  /** `Hkv`, which divides `H`. */
  readonly kvHeads: number;
  /** `T` */
  readonly tokens: number;
  /** Of the queries that are summed. */
  readonly places: QueryPlaces;
}

/**
 * Scores by observed attention, akin to H2O: what all queries together paid to a token, divided by the number of queries that
 * could see it, averaged over the query heads of a group.
 *
 * Source: Zhang et al., "H2O", arXiv 2306.14048, whose running sums are not divided; the division is kvpress's
 * (ObservedAttention). Sums of fewer queries than those of the whole text will do, and the divisor follows.
 *
 * Numerics: quotients in float64, rounded once.
 *
 * @returns `[Hkv, T]`; higher stays.
 */
export function observedAttentionScores({ sums, kvHeads, tokens, places }: SummedAttention): Float32Array {
  const seen = timesSeen(places, tokens);
  const shares = new Float64Array(sums);
  for (let at = 0; at < shares.length; at++) shares[at]! /= Math.max(1, seen[at % tokens]!);
  return groupMeans(shares, kvHeads, tokens);
}

/** Queries that see each token, `[T]`: all of them those before the first query, and later tokens fewer. */
function timesSeen({ visible }: QueryPlaces, tokens: number): Int32Array {
  const seen = new Int32Array(tokens);
  for (let query = 0, token = 0; query < visible.length; query++)
    for (; token < visible[query]!; token++) seen[token] = visible.length - query;
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
