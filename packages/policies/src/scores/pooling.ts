/** Smooths scores along the tokens; `kernel` is odd, and what lies beyond the ends counts as zero. */
export type Pool = (scores: Float64Array, kernel: number) => Float64Array;

/**
 * The mean over `kernel` neighbours. The divisor is `kernel` at the ends, too, so scores fall off there, as they do in PyTorch's
 * `avg_pool1d` with padding.
 */
export const averagePool: Pool = (scores, kernel) => {
  const reach = Math.floor(kernel / 2);
  return scores.map((_, place) => {
    let sum = 0;
    const end = Math.min(place + reach + 1, scores.length);
    for (let at = Math.max(place - reach, 0); at < end; at++) sum += scores[at]!;
    return sum / kernel;
  });
};

/** The largest of `kernel` neighbours. */
export const maxPool: Pool = (scores, kernel) => {
  const reach = Math.floor(kernel / 2);
  return scores.map((_, place) => {
    let peak = scores[place]!;
    const end = Math.min(place + reach + 1, scores.length);
    for (let at = Math.max(place - reach, 0); at < end; at++) peak = Math.max(peak, scores[at]!);
    return peak;
  });
};
