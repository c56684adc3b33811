import { slice } from "./blocks.js";
import { diagonalise } from "./internal/diagonalise.js";
import { requireFinite, requireRank, requireSquare } from "./internal/requirements.js";
import { accumulateReflectors, tridiagonalise } from "./internal/tridiagonalise.js";
import { createMatrix, type Matrix, transpose } from "./matrix.js";

/** Eigenvalues in descending order and their eigenvectors, the columns of `vectors [n, n]`. */
export interface SymmetricEigen {
  readonly values: Float64Array;
  readonly vectors: Matrix;
}

/**
 * All eigenvalues and eigenvectors of `(a + aᵀ) / 2`, `a [n, n]`.
 *
 * Numerics: Householder tridiagonalisation and implicit QR in float64; residual and loss of orthogonality below
 * `1e-12` relative to the largest eigenvalue at n = 1024, so eigenvalues below that are noise, of either sign.
 * Deterministic: each vector's largest component is positive. Equal eigenvalues have an arbitrary orthonormal basis.
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
  const n = a.rows;
  const { values: symmetric, factor } = normalise(a);
  const tridiagonal = tridiagonalise(symmetric, n);
  const paddedRows = Math.ceil(n / 4) * 4;
  const columns = accumulateReflectors(tridiagonal, n, paddedRows);
  const rows = transposeInto(columns, n, paddedRows);
  const { diagonal, offDiagonal } = tridiagonal;
  diagonalise(diagonal, offDiagonal, rows);
  return order(diagonal, rows, factor);
}

/**
 * The eigenvectors of the `rank` largest eigenvalues of `(a + aᵀ) / 2`, as columns `[n, rank]`.
 *
 * @throws {NumericalError} as {@link symmetricEigen}, and `invalid-argument` when `rank` exceeds `n`.
 */
export function topEigenvectors(a: Matrix, rank: number): Matrix {
  requireSquare("topEigenvectors", "a", a);
  requireRank("topEigenvectors", rank, a.rows);
  return slice(symmetricEigen(a).vectors, { cols: [0, rank] });
}

/** The symmetric part over a power of two near its largest value, so that no square over- or underflows. */
function normalise(a: Matrix): { values: Float64Array; factor: number } {
  const n = a.rows;
  const largest = a.data.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  const factor = largest === 0 ? 1 : 2 ** Math.floor(Math.log2(largest));
  const { data: mirrored } = transpose(a);
  const values = new Float64Array(n * n);
  for (let i = 0; i < values.length; i++) values[i] = (a.data[i]! / factor + mirrored[i]! / factor) / 2;
  return { values, factor };
}

/** `Q` from the rows of `Qᵀ`, with the same padding rows. */
function transposeInto(columns: Float64Array, n: number, paddedRows: number): Float64Array {
  const rows = new Float64Array(paddedRows * n);
  rows.set(transpose(createMatrix(n, n, columns.subarray(0, n * n))).data);
  return rows;
}

function order(diagonal: Float64Array, rows: Float64Array, factor: number): SymmetricEigen {
  const n = diagonal.length;
  const ranking = Array.from(diagonal.keys()).sort((i, j) => diagonal[j]! - diagonal[i]!);
  const signs = signsOf(rows, n);
  const vectors = createMatrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const from = ranking[j]!;
      vectors.data[i * n + j] = signs[from]! * rows[i * n + from]!;
    }
  }
  return { values: Float64Array.from(ranking, (index) => diagonal[index]! * factor), vectors };
}

/** For each column, the sign of its component of largest magnitude (the first of several). */
function signsOf(rows: Float64Array, n: number): Float64Array {
  const peaks = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const value = rows[i * n + j]!;
      if (Math.abs(value) > Math.abs(peaks[j]!)) peaks[j] = value;
    }
  }
  return peaks.map((value) => (value < 0 ? -1 : 1));
}
