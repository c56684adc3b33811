import type { Matrix } from "../src/index.js";

/** `max |a - b|`, absolute; NaN when any value is. */
export function maxDifference(a: Matrix, b: Matrix): number {
  if (a.rows !== b.rows || a.cols !== b.cols) return Number.POSITIVE_INFINITY;
  return a.data.reduce((peak, value, index) => Math.max(peak, Math.abs(value - b.data[index]!)), 0);
}

/** `max |a|`. */
export const maxMagnitude = (a: Matrix): number =>
  a.data.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);

/** The Frobenius norm `sqrt(Σ a_ij²)`. */
export const frobeniusNorm = (a: Matrix): number =>
  Math.sqrt(a.data.reduce((sum, value) => sum + value * value, 0));
