import { energyOf } from "./energy.js";
import { leadingSpectrum } from "./internal/leading-spectrum.js";
import { requireFinite, requireRank, requireSquare } from "./internal/requirements.js";
import { runInPlace, runThrough } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";

/** Eigenvalues in descending order, and their eigenvectors, the columns of `vectors`. */
export interface SymmetricEigen {
  readonly values: Float64Array;
  readonly vectors: Matrix;
}

/**
 * All eigenvalues and eigenvectors of `(a + aᵀ) / 2`, `a [n, n]`: `vectors` is `[n, n]`.
 *
 * Numerics, in float64: ml-matrix's tridiagonal QL up to n = 32; Householder tridiagonalisation and divide and conquer beyond
 * (docs/decisions/0001-own-linear-algebra.md in the repository). Residual and loss of orthogonality are below `1e-12`
 * relative to the largest eigenvalue at n = 1024, so eigenvalues below that are noise, of either sign. Deterministic: each
 * vector's largest component is positive. Equal eigenvalues have an arbitrary orthonormal basis.
 *
 * @throws {NumericalError} `not-finite` for NaN or infinity, naming the place; `shape-mismatch` when not square;
 * `no-convergence`, which no finite matrix is known to cause.
 * @example
 * ```ts
 * import { createMatrix, symmetricEigen } from "@kvfold/linalg";
 * const { values } = symmetricEigen(createMatrix(2, 2, Float64Array.of(2, 1, 1, 2)));
 * Array.from(values, Math.round) // => [3, 1]
 * ```
 */
export function symmetricEigen(a: Matrix): SymmetricEigen {
  requireSquare("symmetricEigen", "a", a);
  requireFinite("symmetricEigen", "a", a);
  const { allValues, vectors } = runInPlace(leadingSpectrum(a, a.rows));
  return { values: allValues, vectors };
}

/**
 * All eigenvalues of `(a + aᵀ) / 2`, `a [n, n]`, descending: {@link symmetricEigen} without vectors, in less than half the time.
 *
 * Numerics: as {@link symmetricEigen}.
 *
 * @throws {NumericalError} as {@link symmetricEigen}.
 * @example
 * ```ts
 * import { createMatrix, symmetricEigenvalues } from "@kvfold/linalg";
 * const values = symmetricEigenvalues(createMatrix(2, 2, Float64Array.of(2, 1, 1, 2)));
 * Array.from(values, Math.round) // => [3, 1]
 * ```
 */
export function symmetricEigenvalues(a: Matrix): Float64Array {
  requireSquare("symmetricEigenvalues", "a", a);
  requireFinite("symmetricEigenvalues", "a", a);
  return runInPlace(leadingSpectrum(a, 0)).allValues;
}

/** The leading part of a {@link SymmetricEigen}: `rank` values, `vectors [n, rank]`. */
export interface LeadingEigen extends SymmetricEigen {
  /** Share of the sum of all positive eigenvalues that these have, from 0 to 1; 1 when there is none. */
  readonly retained: number;
}

export declare namespace leadingEigen {
  interface Options {
    /** Makes the large products; this package when left out. */
    readonly products?: MatrixProducts | undefined;
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
 * import { createMatrix, leadingEigen } from "@kvfold/linalg";
 * const { values, retained } = await leadingEigen(createMatrix(2, 2, Float64Array.of(2, 1, 1, 2)), 1);
 * Array.from(values, Math.round) // => [3]
 * retained.toFixed(12) // => "0.750000000000"
 * ```
 */
export async function leadingEigen(
  a: Matrix,
  rank: number,
  { products = plainProducts }: leadingEigen.Options = {},
): Promise<LeadingEigen> {
  requireSquare("leadingEigen", "a", a);
  requireRank("leadingEigen", rank, a.rows);
  requireFinite("leadingEigen", "a", a);
  const { allValues, vectors } = await runThrough(products, leadingSpectrum(a, rank));
  return { values: allValues.slice(0, rank), vectors, retained: energyOf(allValues, rank) };
}
