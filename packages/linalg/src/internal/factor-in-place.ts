import type { Matrix } from "../matrix.js";
import { NumericalError } from "../numerical-error.js";
import type { Steps } from "./steps.js";
import { transposeView, viewOf, windowOf } from "./view.js";

/** Diagonal blocks of this size are factored by plain loops; 32 KiB, so one stays in the first-level cache. */
export const factorBlock = 64;

/**
 * Overwrites the lower triangle of `a [n, n]` with its Cholesky factor; what stands above the diagonal is undefined afterwards.
 * Left-looking: subtract from a panel of columns what the columns before it make of them, in one deep product, then
 * factor it.
 * G. Golub and C. Van Loan, "Matrix Computations", 4th ed., section 4.2.9.
 */
export function* factorInPlace(a: Matrix): Steps<void> {
  const n = a.rows;
  const whole = viewOf(a);
  for (let start = 0; start < n; start += factorBlock) {
    const end = Math.min(start + factorBlock, n);
    yield {
      target: windowOf(whole, start, n, start, end),
      left: windowOf(whole, start, n, 0, start),
      right: transposeView(windowOf(whole, start, end, 0, start)),
      factor: -1,
    };
    factorPanel(a, start, end);
  }
}

/** Columns `[start, end)` of the factor, from the diagonal down; earlier columns are already subtracted. */
function factorPanel(a: Matrix, start: number, end: number): void {
  const { rows: n, data } = a;
  for (let i = start; i < end; i++) {
    solveRow(a, i, start, i);
    data[i * n + i] = pivotRoot(data[i * n + i]! - squareOf(data.subarray(i * n + start, i * n + i)), i);
  }
  const whole = end + 4 * Math.floor((n - end) / 4);
  for (let i = end; i < whole; i += 4) solveFourRows(a, i, start, end);
  for (let i = whole; i < n; i++) solveRow(a, i, start, end);
}

/** Solves `x Lᵀ = row` for the columns `[start, end)` of row `i`, in place; `L` stands in the rows of these numbers. */
function solveRow({ rows: n, data }: Matrix, i: number, start: number, end: number): void {
  const row = i * n;
  for (let j = start; j < end; j++) {
    let value = data[row + j]!;
    for (let k = start; k < j; k++) value -= data[row + k]! * data[j * n + k]!;
    data[row + j] = value / data[j * n + j]!;
  }
}

/** The same for four rows at once: four sums that need not wait for each other, and `L` loaded once for all. */
function solveFourRows({ rows: n, data }: Matrix, i: number, start: number, end: number): void {
  const row0 = i * n;
  const row1 = row0 + n;
  const row2 = row1 + n;
  const row3 = row2 + n;
  for (let j = start; j < end; j++) {
    const factorRow = j * n;
    let value0 = data[row0 + j]!;
    let value1 = data[row1 + j]!;
    let value2 = data[row2 + j]!;
    let value3 = data[row3 + j]!;
    for (let k = start; k < j; k++) {
      const factor = data[factorRow + k]!;
      value0 -= data[row0 + k]! * factor;
      value1 -= data[row1 + k]! * factor;
      value2 -= data[row2 + k]! * factor;
      value3 -= data[row3 + k]! * factor;
    }
    const pivot = data[factorRow + j]!;
    data[row0 + j] = value0 / pivot;
    data[row1 + j] = value1 / pivot;
    data[row2 + j] = value2 / pivot;
    data[row3 + j] = value3 / pivot;
  }
}

const squareOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0);

function pivotRoot(value: number, index: number): number {
  if (value > 0) return Math.sqrt(value);
  throw new NumericalError(
    "not-positive-definite",
    `cholesky: expected a positive definite matrix, got pivot ${value} at row ${index}; add a ridge (a larger lambda) or more data`,
  );
}
