/**
 * Implicit QR iteration with Wilkinson's shift on a symmetric tridiagonal matrix.
 * G. Golub and C. Van Loan, "Matrix Computations", 4th ed., algorithms 8.3.2 and 8.3.3.
 *
 * The rotations depend on the tridiagonal matrix alone, so they are collected, and applied to the vectors many sweeps
 * at a time, row by row: a few rows and the collected rotations stay in cache.
 */
import { NumericalError } from "../numerical-error.js";
import { leastSize } from "./least-size.js";

/** Rotations collected before they are applied: 32 KiB of cosines and sines, which stay in the first-level cache. */
const batchRotations = 2 ** 11;

/** Each eigenvalue takes two or three sweeps; a matrix that needs more than this on average does not converge. */
const maxSweepsPerValue = 30;

/** Sweeps of rotations: sweep `s` turns columns `first[s] … last[s]` in ascending neighbouring pairs. */
interface RotationBatch {
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
  readonly first: number[];
  readonly last: number[];
  length: number;
}

/**
 * Overwrites `diagonal` by the eigenvalues (unordered) and `vectors`, row-major `[rows, n]` with `rows` a multiple of
 * 4, by `vectors · V`, `V` the eigenvectors of the tridiagonal matrix; consumes `offDiagonal`.
 */
export function diagonalise(diagonal: Float64Array, offDiagonal: Float64Array, vectors: Float64Array): void {
  const n = diagonal.length;
  const negligible = (Number.EPSILON / 2) * Math.max(norm(diagonal, offDiagonal), leastSize);
  const batch = createBatch(n);
  let sweeps = 0;
  let last = n - 1;
  while (last > 0) {
    if (Math.abs(offDiagonal[last - 1]!) <= negligible) {
      last--;
      continue;
    }
    let first = last - 1;
    while (first > 0 && Math.abs(offDiagonal[first - 1]!) > negligible) first--;
    if (++sweeps > maxSweepsPerValue * n) throw notConverged(n, sweeps);
    if (batch.length + last - first > batch.cosines.length) flush(batch, vectors, n);
    sweep(diagonal, offDiagonal, first, last, batch);
  }
  flush(batch, vectors, n);
}

/** One implicit QR step on the unreduced block `[first, last]`. */
function sweep(d: Float64Array, e: Float64Array, first: number, last: number, batch: RotationBatch): void {
  const { cosines, sines } = batch;
  let x = d[first]! - wilkinsonShift(d[last - 1]!, e[last - 1]!, d[last]!);
  let z = e[first]!;
  let at = batch.length;
  for (let k = first; k < last; k++, at++) {
    const r = Math.sqrt(x * x + z * z);
    const c = r === 0 ? 1 : x / r;
    const s = r === 0 ? 0 : z / r;
    const upper = d[k]!;
    const between = e[k]!;
    const lower = d[k + 1]!;
    const t = s * (upper - lower) - 2 * c * between;
    d[k] = upper - s * t;
    d[k + 1] = lower + s * t;
    if (k > first) e[k - 1] = r;
    x = -(c * t + between);
    e[k] = x;
    if (k + 1 < last) {
      z = s * e[k + 1]!;
      e[k + 1]! *= c;
    }
    cosines[at] = c;
    sines[at] = s;
  }
  batch.first.push(first);
  batch.last.push(last);
  batch.length = at;
}

/** The eigenvalue of `[[a, b], [b, c]]` nearer to `c`. */
function wilkinsonShift(a: number, b: number, c: number): number {
  const half = (a - c) / 2;
  const root = Math.hypot(half, b);
  return c - (b * b) / (half + (half >= 0 ? root : -root));
}

function flush(batch: RotationBatch, vectors: Float64Array, n: number): void {
  for (let row = 0; row < vectors.length; row += 4 * n)
    rotateRows(vectors.subarray(row, row + 4 * n), n, batch);
  batch.first.length = 0;
  batch.last.length = 0;
  batch.length = 0;
}

/** Applies the batch to four rows; the column that two neighbouring rotations share stays in a register. */
function rotateRows(rows: Float64Array, n: number, { cosines, sines, first, last }: RotationBatch): void {
  let at = 0;
  for (let index = 0; index < first.length; index++) {
    const start = first[index]!;
    const end = last[index]!;
    let carry0 = rows[start]!;
    let carry1 = rows[start + n]!;
    let carry2 = rows[start + 2 * n]!;
    let carry3 = rows[start + 3 * n]!;
    for (let k = start; k < end; k++, at++) {
      const c = cosines[at]!;
      const s = sines[at]!;
      const next0 = rows[k + 1]!;
      const next1 = rows[k + 1 + n]!;
      const next2 = rows[k + 1 + 2 * n]!;
      const next3 = rows[k + 1 + 3 * n]!;
      rows[k] = c * carry0 + s * next0;
      rows[k + n] = c * carry1 + s * next1;
      rows[k + 2 * n] = c * carry2 + s * next2;
      rows[k + 3 * n] = c * carry3 + s * next3;
      carry0 = c * next0 - s * carry0;
      carry1 = c * next1 - s * carry1;
      carry2 = c * next2 - s * carry2;
      carry3 = c * next3 - s * carry3;
    }
    rows[end] = carry0;
    rows[end + n] = carry1;
    rows[end + 2 * n] = carry2;
    rows[end + 3 * n] = carry3;
  }
}

function createBatch(n: number): RotationBatch {
  const capacity = Math.max(batchRotations, n);
  return {
    cosines: new Float64Array(capacity),
    sines: new Float64Array(capacity),
    first: [],
    last: [],
    length: 0,
  };
}

/** The largest row sum of magnitudes, an upper bound of the largest eigenvalue within a factor of three. */
function norm(d: Float64Array, e: Float64Array): number {
  return d.reduce(
    (peak, value, i) => Math.max(peak, Math.abs(value) + Math.abs(e[i]!) + Math.abs(e[i - 1] ?? 0)),
    0,
  );
}

const notConverged = (n: number, sweeps: number) =>
  new NumericalError(
    "no-convergence",
    `diagonalise: expected a tridiagonal matrix of size ${n} to converge within ${sweeps} sweeps, found none; please report the matrix`,
  );
