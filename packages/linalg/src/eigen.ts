import { energyOf } from "./energy.js";
import { leadingSpectrum } from "./internal/leading-spectrum.js";
import { requireFinite, requireRank, requireSquare } from "./internal/requirements.js";
import { runInPlace, runThrough } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";

/** Eigenvalues in descending order and their eigenvectors, the columns of `vectors [n, n]`. */
export interface SymmetricEigen {
  readonly values: Float64Array;
  readonly vectors: Matrix;
}

/**
 * All eigenvalues and eigenvectors of `(a + aᵀ) / 2`, `a [n, n]`.
 *
 * Numerics: Householder tridiagonalisation, divide and conquer, implicit QR below 48, in float64; residual and loss of
 * orthogonality below `1e-12` relative to the largest eigenvalue at n = 1024, so eigenvalues below that are noise, of
 * either sign. Deterministic: each vector's largest component is positive. Equal eigenvalues have an arbitrary
 * orthonormal basis.
 *
 * @throws {NumericalError} `not-finite` for NaN or infinity, naming the place; `shape-mismatch` when not square;
 * `no-convergence`, which no finite matrix is known to cause.
 * @example
 * ```ts
 * import { createMatrix, symmetricEigen } from "@kvfold/linalg";
 * Array.from(symmetricEigen(createMatrix(2, 2, Float64Array.of(2, 1, 1, 2))).values) // => [3, 1]
 * ```
 */
export function symmetricEigen(a: Matrix): SymmetricEigen {
  requireSquare("symmetricEigen", "a", a);
  requireFinite("symmetricEigen", "a", a);
  const { allValues, vectors } = runInPlace(leadingSpectrum(a, a.rows));
  return { values: allValues, vectors };
}

/**
 * The eigenvectors of the `rank` largest eigenvalues of `(a + aᵀ) / 2`, as columns `[n, rank]`.
 *
 * @throws {NumericalError} as {@link symmetricEigen}, and `invalid-argument` when `rank` exceeds `n`.
 */
export function topEigenvectors(a: Matrix, rank: number): Matrix {
  requireLeading("topEigenvectors", a, rank);
  return runInPlace(leadingSpectrum(a, rank)).vectors;
}

export declare namespace leadingEigenvectors {
  interface Options {
    /** Who makes the large products; this package itself when left out. */
    readonly products?: MatrixProducts | undefined;
  }
  interface Result {
    /** The `rank` largest eigenvalues, descending. */
    readonly values: Float64Array;
    /** Their eigenvectors, the columns of `[n, rank]`. */
    readonly vectors: Matrix;
    /** Share of the sum of all positive eigenvalues that they have, from 0 to 1; 1 when there is none. */
    readonly retained: number;
  }
}

/**
 * The `rank` largest eigenvalues of `(a + aᵀ) / 2`, `a [n, n]`, and their eigenvectors, large products made through a port.
 *
 * About `4/3 n³` operations to tridiagonal form, half of them products and half matrix-vector products in
 * JavaScript; up to `n³/3 + n² rank` for the vectors of the tridiagonal matrix and `2 n² rank` to take them back, all
 * products. A direct method: its time depends on the size alone (or falls, where eigenvalues agree), never on how far
 * apart the eigenvalues are. Memory: some four times that of `a`.
 *
 * Numerics: as {@link symmetricEigen}, whose leading part this is. The subspace is off by an angle of up to
 * `1e-15 λ_1 / (λ_rank - λ_(rank + 1))` (measured up to n = 2048; Davis and Kahan, 1970, for the form), so within `1e-6`
 * while the gap at the cut is above `1e-9 λ_1`. Where there is none, the vectors are orthonormal all the same and keep as
 * much as any others.
 *
 * @throws {NumericalError} as {@link symmetricEigen}, and `invalid-argument` when `rank` exceeds `n`. What `products`
 * throws passes through.
 * @example
 * ```ts
 * import { createMatrix, leadingEigenvectors } from "@kvfold/linalg";
 * const { values, retained } = await leadingEigenvectors(createMatrix(2, 2, Float64Array.of(2, 1, 1, 2)), 1);
 * Array.from(values) // => [3]
 * retained // => 0.75
 * ```
 */
export async function leadingEigenvectors(
  a: Matrix,
  rank: number,
  { products = plainProducts }: leadingEigenvectors.Options = {},
): Promise<leadingEigenvectors.Result> {
  requireLeading("leadingEigenvectors", a, rank);
  const { allValues, vectors } = await runThrough(products, leadingSpectrum(a, rank));
  return { values: allValues.slice(0, rank), vectors, retained: energyOf(allValues, rank) };
}

function requireLeading(caller: string, a: Matrix, rank: number): void {
  requireSquare(caller, "a", a);
  requireRank(caller, rank, a.rows);
  requireFinite(caller, "a", a);
}
