/**
 * Householder reduction of a symmetric matrix to tridiagonal form, `A = Q T Qᵀ`, from the last row up, so that each
 * reflector is a piece of a row. The updates of a panel of rows are made to the rest of the matrix together, as one
 * product; until then the few vectors that make them up stand in for them.
 * G. Golub and C. Van Loan, "Matrix Computations", 4th ed., section 8.3.1; J. Dongarra, D. Sorensen and
 * S. Hammarling, "Block reduction of matrices to condensed forms", 1989.
 */
import { createMatrix, type Matrix } from "../matrix.js";
import { leastSize } from "./least-size.js";
import type { Steps } from "./steps.js";
import { multiplySymmetric } from "./symmetric-product.js";
import { transposeView, viewOf, windowOf } from "./view.js";

export interface Tridiagonal {
  /** `[n]` */
  readonly diagonal: Float64Array;
  /** `[n]`; `offDiagonal[i]` couples `i` and `i + 1`, the last is zero. */
  readonly offDiagonal: Float64Array;
  /** `Q = H_(n-1) … H_1`, with `H_i = I - u uᵀ / h_i` and `u` in row `i`, columns `[0, i)`, of `[n, n]`. */
  readonly reflectors: Matrix;
  /** `h_i`; zero where `H_i` is the identity. */
  readonly scales: Float64Array;
}

/** Rows of a panel. Wider panels make the matrix products more efficient, but raise the cost of the pending updates. */
const panelRows = 32;

/** Columns of one product of the update: narrow enough to skip most of the upper triangle. */
const updateCols = 256;

/** The update not yet made to the rows above: `A -= leftᵀ · right`, two rows (`u, w` and `w, u`) for each reflector. */
interface PendingUpdate {
  readonly left: Matrix;
  readonly right: Matrix;
}

/** Consumes `a [n, n]`, scaled to values around 1, of which the lower triangle is read. */
export function* tridiagonalise(a: Matrix): Steps<Tridiagonal> {
  const n = a.rows;
  const result: Tridiagonal = {
    diagonal: new Float64Array(n),
    offDiagonal: new Float64Array(n),
    reflectors: a,
    scales: new Float64Array(n),
  };
  const pending = { left: createMatrix(2 * panelRows, n), right: createMatrix(2 * panelRows, n) };
  for (let end = n; end > 0; end -= panelRows) {
    const start = Math.max(end - panelRows, 0);
    for (let i = end - 1; i >= start; i--) reduceRow(result, i, pending, 2 * (end - 1 - i));
    for (let col = 0; col < start; col += updateCols) {
      const colEnd = Math.min(col + updateCols, start);
      yield {
        target: windowOf(viewOf(a), col, start, col, colEnd),
        left: transposeView(windowOf(viewOf(pending.left), 0, 2 * panelRows, col, start)),
        right: windowOf(viewOf(pending.right), 0, 2 * panelRows, col, colEnd),
        factor: -1,
      };
    }
  }
  return result;
}

/** Reduces row `i` to tridiagonal form and appends its update to the `count` rows of the pending one. */
function reduceRow(
  { diagonal, offDiagonal, reflectors, scales }: Tridiagonal,
  i: number,
  pending: PendingUpdate,
  count: number,
): void {
  const { rows: n, data: a } = reflectors;
  const u = a.subarray(i * n, i * n + i + 1);
  for (let row = 0; row < count; row += 2)
    subtractPair(u, pending, row, pending.left.data[row * n + i]!, pending.left.data[(row + 1) * n + i]!);
  diagonal[i] = u[i]!;
  if (i === 0) return;
  const { target, scale } = formReflector(u, i);
  offDiagonal[i - 1] = target;
  scales[i] = scale;
  const reflector = u.subarray(0, i);
  const w = new Float64Array(i);
  if (scale !== 0) {
    multiplySymmetric(a, n, i, reflector, w);
    for (let row = 0; row < count; row += 2)
      subtractPair(
        w,
        pending,
        row,
        dot(reflector, pending.left.data, row * n),
        dot(reflector, pending.left.data, (row + 1) * n),
      );
    toUpdate(reflector, w, scale);
  }
  append(pending, count, reflector, w);
}

/** `target -= first · right[row] + second · right[row + 1]`, as far as `target` reaches. */
function subtractPair(
  target: Float64Array,
  { right: { cols: n, data } }: PendingUpdate,
  row: number,
  first: number,
  second: number,
): void {
  const from = row * n;
  for (let k = 0; k < target.length; k++)
    target[k]! -= first * data[from + k]! + second * data[from + n + k]!;
}

function dot(u: Float64Array, data: Float64Array, from: number): number {
  let sum = 0;
  for (let k = 0; k < u.length; k++) sum += u[k]! * data[from + k]!;
  return sum;
}

/** Turns `x = u[0..length)` into the reflector that maps it onto `target` times the last unit vector. */
function formReflector(u: Float64Array, length: number): { target: number; scale: number } {
  const last = length - 1;
  let tail = 0;
  for (let k = 0; k < last; k++) tail += u[k]! * u[k]!;
  const alpha = u[last]!;
  if (tail < leastSize ** 2) {
    u.fill(0, 0, length);
    return { target: alpha, scale: 0 };
  }
  // The sign that avoids cancellation in u.
  const norm = Math.sqrt(tail + alpha * alpha);
  const target = alpha > 0 ? -norm : norm;
  u[last] = alpha - target;
  return { target, scale: tail + alpha * alpha - alpha * target };
}

/** From `w = A u` to `w = p - u (uᵀp) / 2h` with `p = A u / h`, so that `H A H = A - u wᵀ - w uᵀ`. */
function toUpdate(u: Float64Array, w: Float64Array, scale: number): void {
  const half = dot(u, w, 0) / (2 * scale * scale);
  for (let k = 0; k < u.length; k++) w[k] = w[k]! / scale - half * u[k]!;
}

function append({ left, right }: PendingUpdate, count: number, u: Float64Array, w: Float64Array): void {
  left.data.set(u, count * left.cols);
  left.data.set(w, (count + 1) * left.cols);
  right.data.set(w, count * right.cols);
  right.data.set(u, (count + 1) * right.cols);
}
