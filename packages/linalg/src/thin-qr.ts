import { requireFinite } from "./internal/requirements.js";
import { createMatrix, type Matrix } from "./matrix.js";
import { NumericalError } from "./numerical-error.js";

/** `a = q r` with orthonormal columns of `q [m, n]` and an upper triangular `r [n, n]`. */
export interface ThinQr {
  readonly q: Matrix;
  readonly r: Matrix;
}

/**
 * The thin QR decomposition of `a [m, n]`, `m >= n`: columns of `q` are orthonormal whatever the rank of `a`.
 *
 * Numerics: Householder reflections in float64 (G. Golub and C. Van Loan, "Matrix Computations", 4th ed., section 5.2.2);
 * columns of `q` are orthonormal, and `q r` is `a` relative to its norm, to about `n 2^-53`. Where columns of `a` depend on
 * each other, those of `q` that nothing reads are arbitrary. Time `4 m n²` operations in JavaScript.
 *
 * @throws {NumericalError} `shape-mismatch` when `a` has more columns than rows, `not-finite` for NaN or infinity.
 * @example
 * ```ts
 * import { createMatrix, thinQr } from "@kvfold/linalg";
 * const { q, r } = thinQr(createMatrix(2, 1, Float64Array.of(3, 4)));
 * [q, r].map(({ data }) => Array.from(data, Math.abs)) // => [[0.6, 0.8], [5]]
 * ```
 */
export function thinQr(a: Matrix): ThinQr {
  const { rows: m, cols: n } = a;
  if (m < n)
    throw new NumericalError(
      "shape-mismatch",
      `thinQr: expected at least as many rows as columns, found [${m}, ${n}]; pass the transpose`,
    );
  requireFinite("thinQr", "a", a);
  const work = createMatrix(m, n, a.data.slice());
  const reflectors = Array.from({ length: n }, (_, column) => reduceColumn(work, column));
  const r = createMatrix(n, n);
  for (let i = 0; i < n; i++) r.data.set(work.data.subarray(i * n + i, (i + 1) * n), i * n + i);
  const q = createMatrix(m, n);
  for (let i = 0; i < n; i++) q.data[i * n + i] = 1;
  for (let column = n - 1; column >= 0; column--) reflect(q, reflectors[column]!, column);
  return { q, r };
}

/** Reflects a column onto its first coordinate from the diagonal on; gives the unit vector of the reflection from there. */
function reduceColumn(work: Matrix, column: number): Float64Array {
  const { rows: m, cols: n, data } = work;
  const u = Float64Array.from({ length: m - column }, (_, i) => data[(column + i) * n + column]!);
  const norm = lengthOf(u);
  if (norm === 0) return u;
  // The sign that avoids cancellation.
  u[0]! += u[0]! < 0 ? -norm : norm;
  const size = lengthOf(u);
  for (let i = 0; i < u.length; i++) u[i]! /= size;
  reflect(work, u, column);
  return u;
}

/** Square root of the sum of squares; about its largest value, so that no square over- or underflows. */
function lengthOf(u: Float64Array): number {
  const largest = u.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  if (largest === 0) return 0;
  return largest * Math.sqrt(u.reduce((sum, value) => sum + (value / largest) ** 2, 0));
}

/** `target -= 2 u uᵀ target` on the rows and columns from `start` on; earlier columns are zero there. */
function reflect({ rows: m, cols: n, data }: Matrix, u: Float64Array, start: number): void {
  const dots = new Float64Array(n);
  for (let row = start; row < m; row++)
    for (let column = start; column < n; column++) dots[column]! += u[row - start]! * data[row * n + column]!;
  for (let row = start; row < m; row++)
    for (let column = start; column < n; column++)
      data[row * n + column]! -= 2 * u[row - start]! * dots[column]!;
}
