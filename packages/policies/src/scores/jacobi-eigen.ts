/** Sweeps that are never needed: a dozen bring a 16 by 16 matrix to rounding errors. */
const MOST_SWEEPS = 50;

/** Eigenvalues and eigenvectors of a small symmetric matrix, in no order. */
export interface SmallEigen {
  /** `[n]` */
  readonly values: Float64Array;
  /** `[n, n]`: column `i` belongs to value `i`. */
  readonly vectors: Float64Array;
}

/**
 * Jacobi's method: turns pairs of coordinates until nothing is left beside the diagonal. `symmetricEigen` of `@kvfold/linalg`
 * does the same for any size; this spares browsers its 24 kB for matrices of 16.
 *
 * Source: Golub and Van Loan, "Matrix Computations", 4th edition, 8.5.
 *
 * Numerics: float64; residual and loss of orthogonality below `1e-13` of the largest eigenvalue. A matrix with NaN has no values of use.
 *
 * @param matrix - `[n, n]`, symmetric.
 */
export function jacobiEigen(matrix: Float64Array, n: number): SmallEigen {
  const a = matrix.slice();
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  for (let sweep = 0; sweep < MOST_SWEEPS && !isDiagonal(a, n); sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) turnPair(a, vectors, n, p, q);
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * n + i]!), vectors };
}

/** Whether what lies beside the diagonal is lost in rounding. */
function isDiagonal(a: Float64Array, n: number): boolean {
  let beside = 0;
  let all = 0;
  for (let at = 0; at < a.length; at++) {
    const square = a[at]! * a[at]!;
    all += square;
    if (at % (n + 1) !== 0) beside += square;
  }
  return !(beside > 1e-32 * all);
}

/** Makes `a[p, q]` zero by the smaller of the two turns that do. */
function turnPair(a: Float64Array, vectors: Float64Array, n: number, p: number, q: number): void {
  const beside = a[p * n + q]!;
  if (beside === 0) return;
  const theta = (a[q * n + q]! - a[p * n + p]!) / (2 * beside);
  const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const cosine = 1 / Math.sqrt(tangent * tangent + 1);
  const sine = tangent * cosine;
  turn(a, { first: p, second: q, step: n, count: n, cosine, sine });
  turn(a, { first: p * n, second: q * n, step: 1, count: n, cosine, sine });
  turn(vectors, { first: p, second: q, step: n, count: n, cosine, sine });
}

interface Turn {
  readonly first: number;
  readonly second: number;
  readonly step: number;
  readonly count: number;
  readonly cosine: number;
  readonly sine: number;
}

/** Turns two rows or columns into each other. */
function turn(data: Float64Array, { first, second, step, count, cosine, sine }: Turn): void {
  for (let index = 0; index < count * step; index += step) {
    const x = data[first + index]!;
    const y = data[second + index]!;
    data[first + index] = cosine * x - sine * y;
    data[second + index] = sine * x + cosine * y;
  }
}
