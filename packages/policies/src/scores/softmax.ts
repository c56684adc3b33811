/** `exp(scores - max) / Σ` in place. NaN in a score makes all of them NaN. */
export function softmaxInPlace(scores: Float64Array): void {
  let peak = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) if (scores[i]! > peak) peak = scores[i]!;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    const weight = Math.exp(scores[i]! - peak);
    scores[i] = weight;
    sum += weight;
  }
  for (let i = 0; i < scores.length; i++) scores[i]! /= sum;
}
