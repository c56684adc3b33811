import { factorInPlace } from "./internal/factor-in-place.js";
import { requireFinite, requireSquare } from "./internal/requirements.js";
import { runInPlace } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";

/**
 * The lower triangular `L` with `L Lᵀ = a`, for a symmetric positive definite `a [n, n]` of which the lower triangle is read.
 *
 * Numerics: blocked and left-looking; backward stable, residual about `n · 2^-53 · |a|`.
 *
 * @throws {NumericalError} `not-positive-definite` naming the pivot, `not-finite` for NaN or infinity, `shape-mismatch`
 * when `a` is not square.
 * @example
 * ```ts
 * import { cholesky, createMatrix } from "@kvfold/linalg";
 * Array.from(cholesky(createMatrix(2, 2, Float64Array.of(4, 2, 2, 5))).data) // => [2, 0, 1, 2]
 * ```
 */
export function cholesky(a: Matrix): Matrix {
  requireSquare("cholesky", "a", a);
  requireFinite("cholesky", "a", a);
  const factor = { ...a, data: a.data.slice() };
  runInPlace(factorInPlace(factor));
  for (let i = 0; i < a.rows; i++) factor.data.fill(0, i * a.cols + i + 1, (i + 1) * a.cols);
  return factor;
}
