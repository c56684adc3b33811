import type { Matrix } from "../matrix.js";
import { factorBlock } from "./factor-in-place.js";
import type { Steps } from "./steps.js";
import { transposeView, viewOf, windowOf } from "./view.js";

/**
 * Overwrites `x [n, m]` with the solution of `L y = x`; only the lower triangle of `factor` is read.
 * Rows are solved a block at a time, after one deep product has subtracted what the rows before make of them.
 */
export function* solveLowerInPlace(factor: Matrix, x: Matrix): Steps<void> {
  const n = factor.rows;
  for (let start = 0; start < n; start += factorBlock) {
    const end = Math.min(start + factorBlock, n);
    yield {
      target: rowsOf(x, start, end),
      left: windowOf(viewOf(factor), start, end, 0, start),
      right: rowsOf(x, 0, start),
      factor: -1,
    };
    for (let i = start; i < end; i++) {
      for (let k = start; k < i; k++) subtractRow(x, i, k, factor.data[i * n + k]!);
      divideRow(x, i, factor.data[i * n + i]!);
    }
  }
}

/** Overwrites `x [n, m]` with the solution of `Lᵀ y = x`; only the lower triangle of `factor` is read. */
export function* solveLowerTransposedInPlace(factor: Matrix, x: Matrix): Steps<void> {
  const n = factor.rows;
  for (let end = n; end > 0; end -= factorBlock) {
    const start = Math.max(end - factorBlock, 0);
    yield {
      target: rowsOf(x, start, end),
      left: transposeView(windowOf(viewOf(factor), end, n, start, end)),
      right: rowsOf(x, end, n),
      factor: -1,
    };
    for (let i = end - 1; i >= start; i--) {
      for (let k = i + 1; k < end; k++) subtractRow(x, i, k, factor.data[k * n + i]!);
      divideRow(x, i, factor.data[i * n + i]!);
    }
  }
}

const rowsOf = (x: Matrix, start: number, end: number) => windowOf(viewOf(x), start, end, 0, x.cols);

/** `x[target, :] -= factor · x[source, :]` */
function subtractRow({ cols, data }: Matrix, target: number, source: number, factor: number): void {
  const to = target * cols;
  const from = source * cols;
  for (let j = 0; j < cols; j++) data[to + j]! -= factor * data[from + j]!;
}

function divideRow({ cols, data }: Matrix, row: number, divisor: number): void {
  for (let j = row * cols; j < (row + 1) * cols; j++) data[j]! /= divisor;
}
