import type { Matrix } from "../matrix.js";
import { factorBlock } from "./factor-in-place.js";
import { invertLower } from "./invert-lower.js";
import { overwriteByProduct, type Steps } from "./steps.js";
import { transposeView, viewOf, windowOf } from "./view.js";

/**
 * Overwrites `x [n, m]` with the solution of `L y = x`; only the lower triangle of `factor` is read.
 * By halves: solve the first rows, subtract what they make of the others in one product, solve the others; a few rows by the
 * inverse of their block.
 */
export function* solveLowerInPlace(factor: Matrix, x: Matrix): Steps<void> {
  yield* solveLowerRows(factor, x, 0, factor.rows);
}

/** Overwrites `x [n, m]` with the solution of `Lᵀ y = x`; only the lower triangle of `factor` is read. */
export function* solveLowerTransposedInPlace(factor: Matrix, x: Matrix): Steps<void> {
  yield* solveUpperRows(factor, x, 0, factor.rows);
}

/** Rows `[start, end)`, from which those before are already subtracted. */
function* solveLowerRows(factor: Matrix, x: Matrix, start: number, end: number): Steps<void> {
  if (end - start <= factorBlock) {
    const inverse = viewOf(invertLower(factor, start, end));
    return yield* overwriteByProduct(rowsOf(x, start, end), inverse, rowsOf(x, start, end));
  }
  const middle = middleOf(start, end);
  yield* solveLowerRows(factor, x, start, middle);
  yield {
    target: rowsOf(x, middle, end),
    left: windowOf(viewOf(factor), middle, end, start, middle),
    right: rowsOf(x, start, middle),
    factor: -1,
  };
  yield* solveLowerRows(factor, x, middle, end);
}

/** Rows `[start, end)` of the transposed factor, from which the later ones are already subtracted. */
function* solveUpperRows(factor: Matrix, x: Matrix, start: number, end: number): Steps<void> {
  if (end - start <= factorBlock) {
    const inverse = transposeView(viewOf(invertLower(factor, start, end)));
    return yield* overwriteByProduct(rowsOf(x, start, end), inverse, rowsOf(x, start, end));
  }
  const middle = middleOf(start, end);
  yield* solveUpperRows(factor, x, middle, end);
  yield {
    target: rowsOf(x, start, middle),
    left: transposeView(windowOf(viewOf(factor), middle, end, start, middle)),
    right: rowsOf(x, middle, end),
    factor: -1,
  };
  yield* solveUpperRows(factor, x, start, middle);
}

/** About the middle, at the border of a block that counts from `start`. */
const middleOf = (start: number, end: number): number =>
  start + factorBlock * Math.ceil((end - start) / factorBlock / 2);

const rowsOf = (x: Matrix, start: number, end: number) => windowOf(viewOf(x), start, end, 0, x.cols);
