import { type HeadRows, requireHeadRows, rowsOfHead } from "./head-rows.js";
import { rowNorms } from "./key-norms.js";

/**
 * Scores of KeyDiff: `-cos(k, a)` with `a = mean_t(k_t / |k_t|)` over the tokens of a head, so that keys unlike the average
 * one stay.
 *
 * Source: Park et al., "KeyDiff", arXiv 2504.15364. The paper evicts block by block while it reads the prompt; this is its
 * rule over all keys at once, as kvpress has it.
 *
 * Numerics: sums in float64, norms and scores in float32: within 2e-7. A zero key has no direction: it is left out of the mean and scores 0. So do all keys when
 * their directions cancel.
 *
 * @param keys - `[heads, T, d]`, as they are cached.
 * @returns `[heads, T]`; higher stays.
 * @throws {PolicyError} when `keys.data` has another length.
 */
export function keyDiffScores(keys: HeadRows): Float32Array {
  requireHeadRows("keyDiffScores", "keys", keys);
  const norms = rowNorms(keys);
  for (let head = 0; head < keys.heads; head++) {
    const ofHead = norms.subarray(head * keys.rows, (head + 1) * keys.rows);
    // The scores take the place of the norms.
    scoreHead(rowsOfHead(keys, head), ofHead, keys.width);
  }
  return norms;
}

/** `norms [T]` becomes `-cos(k_t, a)`. */
function scoreHead(keys: Float32Array, norms: Float32Array, width: number): void {
  const anchor = meanDirection(keys, norms, width);
  const length = Math.sqrt(anchor.reduce((sum, value) => sum + value * value, 0));
  for (let token = 0; token < norms.length; token++) {
    let dot = 0;
    for (let j = 0; j < width; j++) dot += keys[token * width + j]! * anchor[j]!;
    const scale = norms[token]! * length;
    norms[token] = scale > 0 ? -dot / scale : 0;
  }
}

function meanDirection(keys: Float32Array, norms: Float32Array, width: number): Float64Array {
  const mean = new Float64Array(width);
  for (let token = 0; token < norms.length; token++) {
    const weight = norms[token]! > 0 ? 1 / (norms[token]! * norms.length) : 0;
    for (let j = 0; j < width; j++) mean[j]! += weight * keys[token * width + j]!;
  }
  return mean;
}
