import { factorInPlace } from "./internal/factor-in-place.js";
import { requireFinite, requireSquare } from "./internal/requirements.js";
import { runThrough } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";

/**
 * Overwrites the lower triangle of a symmetric positive definite `a [n, n]` with its Cholesky factor `L`, `a = L Lᵀ`; its
 * lower triangle is read, and what stands above the diagonal is undefined afterwards.
 *
 * Numerics: blocked, in float64; relative error of `L Lᵀ` about `n 2^-53`. Time `n³/3` multiply-adds.
 *
 * @throws {NumericalError} `not-positive-definite`, `not-finite`, or `shape-mismatch` for a matrix that is not square. What
 * `products` throws passes through.
 * @example
 * ```ts
 * import { choleskyInPlace, createMatrix } from "@kvfold/linalg";
 * const a = createMatrix(2, 2, Float64Array.of(4, 2, 2, 2));
 * await choleskyInPlace(a);
 * [a.data[0], a.data[2], a.data[3]]; // => [2, 1, 1]
 * ```
 */
export async function choleskyInPlace(a: Matrix, products: MatrixProducts = plainProducts): Promise<void> {
  requireSquare("choleskyInPlace", "a", a);
  requireFinite("choleskyInPlace", "a", a);
  await runThrough(products, factorInPlace(a));
}
