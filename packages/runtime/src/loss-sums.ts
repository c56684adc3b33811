/** How well a model predicts a text. */
export interface Perplexity {
  /** Mean negative log likelihood of a token, in nats. */
  readonly nll: number;
  /** `exp(nll)`. */
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

/** A sum over tokens of one window: of losses, of divergences, of changed choices. */
export interface WindowSum {
  readonly total: number;
  /** Tokens that were summed over; none where a window has none of the kind. */
  readonly tokens: number;
}

/** Positions of a window, half-open. The token at position `p` is predicted from with `p + 1` tokens read. */
export interface PositionRange {
  readonly start: number;
  readonly end: number;
}

/** Sums a window's values `[n]`, or those at the positions of a range. */
export function sumPositions(
  values: Float64Array,
  { start, end }: PositionRange = { start: 0, end: values.length },
): WindowSum {
  const part = values.subarray(start, end);
  return { total: part.reduce((total, value) => total + value, 0), tokens: part.length };
}

/** Sums a window's values `[n]` at the given indices. */
export function sumChosen(values: Float64Array, indices: ArrayLike<number>): WindowSum {
  let total = 0;
  for (let i = 0; i < indices.length; i++) total += values[indices[i]!]!;
  return { total, tokens: indices.length };
}

/** Mean over all tokens of all windows; NaN where there are none. */
export function meanOfSums(sums: readonly WindowSum[]): number {
  let total = 0;
  let tokens = 0;
  for (const sum of sums) {
    total += sum.total;
    tokens += sum.tokens;
  }
  return total / tokens;
}

/** Perplexity from the windows' sums of losses; NaN where there are no tokens. */
export function perplexityOfSums(sums: readonly WindowSum[]): Perplexity {
  const nll = meanOfSums(sums);
  return { nll, perplexity: Math.exp(nll), tokens: sums.reduce((total, { tokens }) => total + tokens, 0) };
}

/** Where the first range ends: shorter ones would hold too few tokens of a window to say anything. */
const FIRST_END = 64;

/**
 * Cuts `length` positions at 64, 128, 256, … The last range ends with the window.
 *
 * @example
 * ```ts
 * import { positionRanges } from "@kvfold/runtime";
 *
 * positionRanges(200).map(({ start, end }) => [start, end]) // => [[0, 64], [64, 128], [128, 200]]
 * ```
 */
export function positionRanges(length: number): readonly PositionRange[] {
  const ranges: PositionRange[] = [];
  let start = 0;
  for (let end = FIRST_END; start < length; end *= 2) {
    ranges.push({ start, end: Math.min(end, length) });
    start = end;
  }
  return ranges;
}
