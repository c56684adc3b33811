/** Unnormalised log probabilities `[rows, columns]`, row-major: a row per position, a column per token. */
export interface Logits {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Row `index` of the logits, as a view. */
export const logitsRow = ({ columns, data }: Logits, index: number): Float32Array =>
  data.subarray(index * columns, (index + 1) * columns);

/**
 * `log Σ exp(logit)` of one row.
 *
 * Numerics: accumulated in float64 around the largest entry, so it never overflows; NaN if an entry is NaN.
 */
export function logSumExp(row: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of row) largest = Math.max(largest, logit);
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}
