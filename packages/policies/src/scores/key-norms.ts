import { type HeadRows, requireHeadRows } from "./head-rows.js";

/**
 * Scores of the L2-norm strategy: `-|k|`, so that keys of low norm stay. A rotation keeps norms, so keys before and after RoPE
 * score alike. The paper leaves the first two layers whole.
 *
 * Source: Devoto et al., "A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression", arXiv 2406.11430; kvpress
 * calls it Knorm.
 *
 * Numerics: sums of squares in float64, rounded once. A zero key scores 0, the highest.
 *
 * @param keys - `[heads, T, d]`.
 * @returns `[heads, T]`; higher stays.
 * @throws {PolicyError} when `keys.data` has another length.
 */
export function keyNormScores(keys: HeadRows): Float32Array {
  requireHeadRows("keyNormScores", "keys", keys);
  return rowNorms(keys).map((norm) => 0 - norm);
}

/** `|x|` of every row, `[heads, rows]`. */
export function rowNorms({ data, heads, rows, width }: HeadRows): Float32Array {
  const norms = new Float32Array(heads * rows);
  for (let row = 0, at = 0; row < norms.length; row++) {
    let sum = 0;
    for (const end = at + width; at < end; at++) sum += data[at]! * data[at]!;
    norms[row] = Math.sqrt(sum);
  }
  return norms;
}
