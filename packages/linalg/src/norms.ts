import { requireSquare } from "./internal/requirements.js";
import type { Matrix } from "./matrix.js";

/**
 * The Frobenius norm `sqrt(Σ a_ij²)`.
 *
 * Numerics: values are divided by the largest magnitude first, so that neither overflow nor underflow of the squares
 * spoils the result; NaN in gives NaN out.
 *
 * @example
 * ```ts
 * import { createMatrix, frobeniusNorm } from "@kvfold/linalg";
 * frobeniusNorm(createMatrix(1, 2, Float64Array.of(3e200, 4e200))) / 1e200 // => 5
 * ```
 */
export function frobeniusNorm(a: Matrix): number {
  const largest = a.data.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  return largest * Math.sqrt(a.data.reduce((total, value) => total + (value / largest) ** 2, 0));
}

/**
 * The trace `Σ a_ii`.
 *
 * @throws {NumericalError} `shape-mismatch` when `a` is not square.
 */
export function trace(a: Matrix): number {
  requireSquare("trace", "a", a);
  let total = 0;
  for (let i = 0; i < a.rows; i++) total += a.data[i * a.cols + i]!;
  return total;
}
