import type { Matrix } from "../matrix.js";
import { NumericalError } from "../numerical-error.js";
import { accumulateProduct } from "./accumulate-product.js";
import { transposeView, viewOf, windowOf } from "./view.js";

/** Diagonal blocks of this size are factored by plain loops; 32 KiB, so one stays in the first-level cache. */
export const factorBlock = 64;

/**
 * Overwrites the lower triangle of `a [n, n]` with its Cholesky factor; what stands above the diagonal is undefined afterwards.
 * Right-looking: factor a panel of columns, then subtract its outer product from the rest.
 * G. Golub and C. Van Loan, "Matrix Computations", 4th ed., section 4.2.9.
 */
export function factorInPlace(a: Matrix): void {
  const n = a.rows;
  const whole = viewOf(a);
  for (let start = 0; start < n; start += factorBlock) {
    const end = Math.min(start + factorBlock, n);
    factorPanel(a, start, end);
    for (let col = end; col < n; col += factorBlock) {
      const colEnd = Math.min(col + factorBlock, n);
      const below = windowOf(whole, col, n, start, end);
      const across = windowOf(whole, col, colEnd, start, end);
      accumulateProduct(windowOf(whole, col, n, col, colEnd), below, transposeView(across), -1);
    }
  }
}

/** Columns `[start, end)` of the factor, from the diagonal down; earlier columns are already subtracted. */
function factorPanel({ rows: n, data }: Matrix, start: number, end: number): void {
  for (let i = start; i < n; i++) {
    const row = i * n;
    const last = Math.min(i, end - 1);
    for (let j = start; j <= last; j++) {
      let value = data[row + j]!;
      for (let k = start; k < j; k++) value -= data[row + k]! * data[j * n + k]!;
      data[row + j] = i === j ? pivotRoot(value, i) : value / data[j * n + j]!;
    }
  }
}

function pivotRoot(value: number, index: number): number {
  if (value > 0) return Math.sqrt(value);
  throw new NumericalError(
    "not-positive-definite",
    `cholesky: expected a positive definite matrix, got pivot ${value} at row ${index}; add a ridge (a larger lambda) or more data`,
  );
}
