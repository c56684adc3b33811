import type { Matrix } from "../matrix.js";
import { NumericalError } from "../numerical-error.js";
import { invertLower } from "./invert-lower.js";
import { overwriteByProduct, type ProductStep, type Steps } from "./steps.js";
import { transposeView, viewOf, windowOf } from "./view.js";

/** Diagonal blocks of this size are factored by plain loops; 32 KiB, so one stays in the first-level cache. */
export const factorBlock = 64;

/** Columns of the widest panel: wider ones are hardly faster. */
const widestPanel = 512;

/**
 * Overwrites the lower triangle of `a [n, n]` with its Cholesky factor; what stands above the diagonal is undefined afterwards.
 * Left-looking, on two levels: subtract from a wide panel of columns what the columns before it make of them, in one deep
 * product, then factor the panel the same way in narrow ones. A product reads all columns before its panel, and has to copy
 * them first where an engine makes it, so wide panels save most of the copies.
 * G. Golub and C. Van Loan, "Matrix Computations", 4th ed., section 4.2.9.
 */
export function* factorInPlace(a: Matrix, width: number = panelWidth(a.rows)): Steps<void> {
  for (let start = 0; start < a.rows; start += width) {
    const end = Math.min(start + width, a.rows);
    yield subtractEarlier(a, { from: 0, start, end });
    yield* factorWidePanel(a, start, end);
  }
}

/** A sixteenth of the matrix, in whole blocks: above the diagonal, a wide panel's product does work that nobody needs. */
const panelWidth = (n: number): number =>
  Math.min(Math.max(factorBlock, factorBlock * Math.floor(n / 16 / factorBlock)), widestPanel);

/** Columns `[start, end)` of the factor; columns before `start` are already subtracted. */
function* factorWidePanel(a: Matrix, from: number, to: number): Steps<void> {
  for (let start = from; start < to; start += factorBlock) {
    const end = Math.min(start + factorBlock, to);
    if (start > from) yield subtractEarlier(a, { from, start, end });
    yield* factorPanel(a, start, end);
  }
}

/** What the factor's columns `[from, start)` make of the columns `[start, end)`, from the diagonal down. */
function subtractEarlier(
  a: Matrix,
  { from, start, end }: { readonly from: number; readonly start: number; readonly end: number },
): ProductStep {
  const whole = viewOf(a);
  return {
    target: windowOf(whole, start, a.rows, start, end),
    left: windowOf(whole, start, a.rows, from, start),
    right: transposeView(windowOf(whole, start, end, from, start)),
    factor: -1,
  };
}

/** Columns `[start, end)` of the factor, from the diagonal down; earlier columns are already subtracted. */
function* factorPanel(a: Matrix, start: number, end: number): Steps<void> {
  factorDiagonal(a, start, end);
  if (end === a.rows) return;
  const below = windowOf(viewOf(a), end, a.rows, start, end);
  // `X Lᵀ = A` by the inverse of the small `L`: a product, where a substitution would be plain loops.
  yield* overwriteByProduct(below, below, transposeView(viewOf(invertLower(a, start, end))));
}

/** The rows `[start, end)` of these columns. */
function factorDiagonal({ rows: n, data }: Matrix, start: number, end: number): void {
  for (let i = start; i < end; i++) {
    const row = i * n;
    for (let j = start; j < i; j++) {
      let value = data[row + j]!;
      for (let k = start; k < j; k++) value -= data[row + k]! * data[j * n + k]!;
      data[row + j] = value / data[j * n + j]!;
    }
    data[row + i] = pivotRoot(data[row + i]! - squareOf(data.subarray(row + start, row + i)), i);
  }
}

const squareOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0);

function pivotRoot(value: number, index: number): number {
  if (value > 0) return Math.sqrt(value);
  throw new NumericalError(
    "not-positive-definite",
    `cholesky: expected a positive definite matrix, found pivot ${value} at row ${index}; add a ridge (a larger lambda) or more data`,
  );
}
