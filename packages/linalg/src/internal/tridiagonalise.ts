/**
 * Householder reduction of a symmetric matrix to tridiagonal form, `A = Q T Qᵀ`, from the last row up, so that each
 * reflector is a piece of a row. The rank-2 update of one step is made in the same pass as the matrix-vector
 * product of the next, which halves the memory traffic.
 * G. Golub and C. Van Loan, "Matrix Computations", 4th ed., section 8.3.1; J. Dongarra, D. Sorensen and
 * S. Hammarling, "Block reduction of matrices to condensed forms", 1989, for delaying the update.
 */
export interface Tridiagonal {
  /** `[n]` */
  readonly diagonal: Float64Array;
  /** `[n]`; `offDiagonal[i]` couples `i` and `i + 1`, the last is zero. */
  readonly offDiagonal: Float64Array;
  /** `Q = H_(n-1) … H_1`, with `H_i = I - u uᵀ / h_i` and `u` in row `i`, columns `[0, i)`, of `[n, n]`. */
  readonly reflectors: Float64Array;
  /** `h_i`; zero where `H_i` is the identity. */
  readonly scales: Float64Array;
}

/** Consumes `a`, the row-major `[n, n]` values of which the lower triangle is read. */
export function tridiagonalise(a: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(n);
  const scales = new Float64Array(n);
  // The update not yet made to the rows above: A -= v wᵀ + w vᵀ.
  const v = new Float64Array(n);
  const w = new Float64Array(n);
  const product = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    const u = a.subarray(i * n, i * n + i + 1);
    subtractOuter(u, v, w, i);
    diagonal[i] = u[i]!;
    if (i === 0) break;
    const { target, scale } = formReflector(u, i);
    offDiagonal[i - 1] = target;
    scales[i] = scale;
    updateAndMultiply(a, n, i, v, w, u, product);
    nextUpdate(u, product, i, scale, v, w);
  }
  return { diagonal, offDiagonal, reflectors: a, scales };
}

/** `row[0..i] -= v_i w + w_i v` */
function subtractOuter(row: Float64Array, v: Float64Array, w: Float64Array, i: number): void {
  const vi = v[i]!;
  const wi = w[i]!;
  for (let k = 0; k <= i; k++) row[k]! -= vi * w[k]! + wi * v[k]!;
}

/** Turns `x = u[0..length)` into the reflector that maps it onto `target` times the last unit vector. */
function formReflector(u: Float64Array, length: number): { target: number; scale: number } {
  const last = length - 1;
  let tail = 0;
  for (let k = 0; k < last; k++) tail += u[k]! * u[k]!;
  const alpha = u[last]!;
  if (tail === 0) {
    u.fill(0, 0, length);
    return { target: alpha, scale: 0 };
  }
  // The sign that avoids cancellation in u.
  const norm = Math.sqrt(tail + alpha * alpha);
  const target = alpha > 0 ? -norm : norm;
  u[last] = alpha - target;
  return { target, scale: tail + alpha * alpha - alpha * target };
}

/** `A -= v wᵀ + w vᵀ`, then `product = A u`, over the leading `[i, i]` block in one pass of its lower triangle. */
function updateAndMultiply(
  a: Float64Array,
  n: number,
  i: number,
  v: Float64Array,
  w: Float64Array,
  u: Float64Array,
  product: Float64Array,
): void {
  for (let j = 0; j < i; j++) {
    const row = j * n;
    const vj = v[j]!;
    const wj = w[j]!;
    const uj = u[j]!;
    let dot = 0;
    for (let k = 0; k < j; k++) {
      const value = a[row + k]! - vj * w[k]! - wj * v[k]!;
      a[row + k] = value;
      dot += value * u[k]!;
      product[k]! += value * uj;
    }
    const value = a[row + j]! - 2 * vj * wj;
    a[row + j] = value;
    product[j] = dot + value * uj;
  }
}

/** `v = u`, `w = p - u (uᵀp) / 2h` with `p = product / h`, so that `H A H = A - v wᵀ - w vᵀ`. */
function nextUpdate(
  u: Float64Array,
  product: Float64Array,
  i: number,
  scale: number,
  v: Float64Array,
  w: Float64Array,
): void {
  if (scale === 0) {
    v.fill(0, 0, i);
    w.fill(0, 0, i);
    return;
  }
  let inner = 0;
  for (let k = 0; k < i; k++) inner += u[k]! * product[k]!;
  const half = inner / (2 * scale * scale);
  for (let k = 0; k < i; k++) {
    v[k] = u[k]!;
    w[k] = product[k]! / scale - half * u[k]!;
  }
}

/**
 * `Qᵀ`, row-major, of `rows >= n` rows (those from `n` on are zero).
 * Row `r` is column `r` of `Q`, on which reflectors up to `r` do nothing: starting each group of rows there saves a third.
 */
export function accumulateReflectors(
  { reflectors, scales }: Tridiagonal,
  n: number,
  rows: number,
): Float64Array {
  const qT = new Float64Array(rows * n);
  for (let r = 0; r < n; r++) qT[r * n + r] = 1;
  for (let r = 0; r < rows; r += 4) {
    const group = qT.subarray(r * n, (r + 4) * n);
    for (let i = r + 1; i < n; i++) {
      if (scales[i] !== 0) reflectRows(group, n, reflectors.subarray(i * n, i * n + i), 1 / scales[i]!);
    }
  }
  return qT;
}

/** Applies `I - factor · u uᵀ` to four rows at once, so that `u` is loaded once for all. */
function reflectRows(rows: Float64Array, n: number, u: Float64Array, factor: number): void {
  let dot0 = 0;
  let dot1 = 0;
  let dot2 = 0;
  let dot3 = 0;
  const length = u.length;
  for (let k = 0; k < length; k++) {
    const uk = u[k]!;
    dot0 += rows[k]! * uk;
    dot1 += rows[k + n]! * uk;
    dot2 += rows[k + 2 * n]! * uk;
    dot3 += rows[k + 3 * n]! * uk;
  }
  dot0 *= factor;
  dot1 *= factor;
  dot2 *= factor;
  dot3 *= factor;
  for (let k = 0; k < length; k++) {
    const uk = u[k]!;
    rows[k]! -= dot0 * uk;
    rows[k + n]! -= dot1 * uk;
    rows[k + 2 * n]! -= dot2 * uk;
    rows[k + 3 * n]! -= dot3 * uk;
  }
}
