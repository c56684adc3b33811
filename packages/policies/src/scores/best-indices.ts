/**
 * Indices of the `count` largest scores, ascending. Of equal scores those of lower index are taken first; NaN is below all.
 */
export function bestIndices(scores: Float32Array, count: number): Int32Array {
  const wanted = Math.max(0, Math.min(count, scores.length));
  if (wanted === 0) return new Int32Array();
  const comparable = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  const threshold = comparable.slice().sort()[scores.length - wanted]!;
  const above = comparable.reduce((sum, score) => sum + (score > threshold ? 1 : 0), 0);
  let ties = wanted - above;
  const kept = new Int32Array(wanted);
  let next = 0;
  for (const [index, score] of comparable.entries()) {
    if (score < threshold || (score === threshold && ties-- <= 0)) continue;
    kept[next++] = index;
  }
  return kept;
}
