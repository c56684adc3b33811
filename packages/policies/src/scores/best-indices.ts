/**
 * Indices of the `count` largest scores, ascending. Of equal scores those of lower index are taken first; NaN is below all.
 */
export function bestIndices(scores: Float32Array, count: number): Int32Array {
  const wanted = Math.max(0, Math.min(count, scores.length));
  if (wanted === 0) return new Int32Array();
  const comparable = new Float32Array(scores);
  for (let at = 0; at < scores.length; at++)
    if (Number.isNaN(comparable[at]!)) comparable[at] = Number.NEGATIVE_INFINITY;
  const threshold = comparable.slice().sort()[scores.length - wanted]!;
  let ties = wanted - countAbove(comparable, threshold);
  const kept = new Int32Array(wanted);
  for (let at = 0, next = 0; next < wanted; at++)
    if (comparable[at]! > threshold || (comparable[at] === threshold && ties-- > 0)) kept[next++] = at;
  return kept;
}

function countAbove(scores: Float32Array, threshold: number): number {
  let count = 0;
  for (let at = 0; at < scores.length; at++) if (scores[at]! > threshold) count++;
  return count;
}
