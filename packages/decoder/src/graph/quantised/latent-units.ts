import { groupRotation } from "@kvfold/runtime";
import type { CodedShape } from "./coded-shape.js";

/** How latents become the numbers that are coded: less their means, in units of their own, mixed. */
export interface LatentUnits {
  /** Slots after which the means begin again. */
  readonly period: number;
  /** `[period, heads * size]`. */
  readonly means: Float32Array;
  /** `[heads * size]`: what a latent less its mean is multiplied by. */
  readonly factors: Float32Array;
  /** Rows of a head are mixed by the Kronecker product of `outer [p, p]`, symmetric, and `inner [q, q]`, both orthonormal; `p q = size`. */
  readonly p: number;
  readonly outer: Float32Array;
  readonly q: number;
  readonly inner: Float32Array;
}

/** Least share of its mean square that a number keeps once its mean is taken away: means are not known more exactly. */
const LEAST_SHARE = 1e-3;
/** Least share of the largest energy that counts. */
const LEAST_ENERGY = 1e-6;

/**
 * Units for latents of unit mean square, with the means `[period, heads * size]`, of whose numbers an error of one costs `costs`.
 *
 * All numbers of a head are mixed, so codes err in all of them alike: with factors `f` and variances `v` by `e = c sum_j f_j^2 v_j`
 * in units of the factors, which is `e / f_i^2` in number `i`. What that costs in all, `sum_i w_i e / f_i^2`, is least for
 * `f_i^4 = w_i / v_i`.
 */
export function latentUnits(means: Float32Array, costs: Float32Array, { size }: CodedShape): LatentUnits {
  const width = costs.length;
  const period = means.length / width;
  const most = costs.reduce((a, b) => Math.max(a, b), 0);
  const factors = costs.map((cost, column) => {
    let square = 0;
    for (let slot = 0; slot < period; slot++) square += means[slot * width + column]! ** 2;
    const variance = Math.max(LEAST_SHARE, 1 - square / period);
    return (Math.max(cost / most, LEAST_ENERGY) / variance) ** (1 / 4);
  });
  // The largest power of two that divides the size, and the odd rest.
  const p = size & -size;
  const q = size / p;
  return { period, means, factors, p, outer: groupRotation(p), q, inner: groupRotation(q) };
}
