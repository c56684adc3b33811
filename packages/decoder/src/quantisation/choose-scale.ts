import { nearestCode, ZERO_CODE } from "./four-bit-code.js";

/**
 * Where the weight of the largest magnitude comes to lie, in steps from zero. At -8 only weights of the other sign can be
 * clipped, at -7 and 7 none are; at -9 and 8 steps are finer, and the largest weights are clipped. Finer grids gain
 * nothing that perplexity shows (docs/method.md, Four bits).
 */
const EXTREME_STEPS: readonly number[] = [-8, -7, -9, 7, 8];

/**
 * The scale that loses least of a block, by the sum of squares: the codes of each candidate get the scale that fits
 * them best, `sum(w q) / sum(q^2)`, which leaves `sum(w^2) - sum(w q)^2 / sum(q^2)`. Zero for a block of zeros.
 */
export function chooseScale(weights: Float32Array): number {
  const extreme = extremeOf(weights);
  let best: Fit = { gain: 0, scale: extreme / -ZERO_CODE };
  // A scale that underflows makes all codes alike.
  if (Math.fround(best.scale) === 0) return 0;
  for (const steps of EXTREME_STEPS) {
    const fit = fitScale(weights, steps / extreme);
    if (fit.gain > best.gain) best = fit;
  }
  return Math.fround(best.scale);
}

/** The weight of the largest magnitude. */
function extremeOf(weights: Float32Array): number {
  let extreme = 0;
  for (const weight of weights) if (Math.abs(weight) > Math.abs(extreme)) extreme = weight;
  return extreme;
}

interface Fit {
  /** What the codes take off the sum of squares. */
  readonly gain: number;
  readonly scale: number;
}

/** The best scale for the codes that `1 / scale` gives. */
function fitScale(weights: Float32Array, inverseScale: number): Fit {
  let products = 0;
  let squares = 0;
  for (const weight of weights) {
    const steps = nearestCode(weight, inverseScale) - ZERO_CODE;
    products += weight * steps;
    squares += steps * steps;
  }
  return { gain: products ** 2 / squares, scale: products / squares };
}
