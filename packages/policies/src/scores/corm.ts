/**
 * CORM keeps a token as long as one of the last `w` queries found it important. The paper stores which tokens each of these
 * queries found so; the step at which a token was important last says the same in one number.
 */

/** The step of tokens that no query has found important. */
export const NEVER_IMPORTANT = -1;

/** The share of attention from which on a token is important to a query that sees so many; see {@link noteImportance}. */
export const importantShare = (seen: number): number => (1 - 1e-6) / seen;

/**
 * Notes which tokens a query finds important: those with at least an equal share, `1 / t`, of its attention to `t` tokens.
 *
 * Source: Dai et al., "CORM", arXiv 2404.15949. It leaves open whether `t` counts evicted tokens; here it counts those that
 * are cached, since the weights are shared among them. A KV head's token is important when it is so to any query head of the
 * group: call this for each.
 *
 * Numerics: float32 weights are compared with `1 / t` in float64; equal weights `1 / t` may fall short of it by rounding, so a
 * millionth of it is forgiven.
 *
 * @param lastImportant - `[T]`, of one KV head, changed in place: the last step at which each token was important.
 * @param row - `[t]`, the attention of one query; `t` is at most `T`.
 * @param step - Counts queries, in any order.
 * @param seen - Tokens that the query could see, where the others of the row are zeros. Default `t`.
 */
export function noteImportance(
  lastImportant: Int32Array,
  row: Float32Array,
  step: number,
  seen: number = row.length,
): void {
  const share = importantShare(seen);
  for (let token = 0; token < row.length; token++) {
    if (row[token]! >= share && lastImportant[token]! < step) lastImportant[token] = step;
  }
}

export declare namespace cormKept {
  interface Options {
    /** `[T]`, of one KV head, from {@link noteImportance}. */
    readonly lastImportant: Int32Array;
    /** `[T]`, where the tokens stand. Default: in this order. */
    readonly positions?: Int32Array | undefined;
    /** The step of the latest query, the first being 0. */
    readonly step: number;
    /** Queries that must all have passed over a token before it goes. Default 256, the paper's. */
    readonly window?: number | undefined;
    /** Latest tokens, which always stay. Default 256, the paper's. */
    readonly recent?: number | undefined;
  }
}

/**
 * The tokens that CORM keeps: the `recent` latest, and those that any of the last `window` queries found important. Nothing
 * goes before there have been `window` queries. There is no budget: the text decides, and heads differ.
 *
 * Source: arXiv 2404.15949.
 *
 * @returns Places that stay, ascending.
 * @example
 * ```ts
 * import { cormKept } from "@kvfold/policies";
 * const lastImportant = Int32Array.of(5, 2, -1, -1);
 * Array.from(cormKept({ lastImportant, step: 5, window: 3, recent: 1 })) // => [0, 3]
 * ```
 */
export function cormKept({
  lastImportant,
  positions,
  step,
  window = 256,
  recent = 256,
}: cormKept.Options): Int32Array {
  const tokens = lastImportant.length;
  const oldest = step - window + 1;
  const latest = positions === undefined ? tokens - recent : firstOfLatest(positions, recent);
  const kept = new Int32Array(tokens);
  let count = 0;
  for (let token = 0; token < tokens; token++) {
    const isRecent = (positions === undefined ? token : positions[token]!) >= latest;
    if (oldest < 0 || isRecent || lastImportant[token]! >= Math.max(oldest, 0)) kept[count++] = token;
  }
  return kept.subarray(0, count);
}

/** The position that the `count` latest tokens begin at, wherever they stand; the last of them is at `last`. */
export function firstOfLatest(
  positions: Int32Array,
  count: number,
  last: number = lastOf(positions),
): number {
  if (count >= positions.length) return Number.NEGATIVE_INFINITY;
  const first = last - count + 1;
  let behind = 0;
  for (let token = 0; token < positions.length; token++) if (positions[token]! >= first) behind++;
  // Some of the latest positions are no longer cached: this takes longer and is rare.
  return behind === count ? first : positions.slice().sort()[positions.length - count]!;
}

function lastOf(positions: Int32Array): number {
  let last = -1;
  for (let token = 0; token < positions.length; token++) last = Math.max(last, positions[token]!);
  return last;
}
