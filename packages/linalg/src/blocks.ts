import { requireRange } from "./internal/requirements.js";
import { createMatrix, type Matrix } from "./matrix.js";
import { NumericalError } from "./numerical-error.js";

export declare namespace slice {
  /** Half-open ranges `[start, end)`; an axis left out is taken whole. */
  interface Ranges {
    readonly rows?: readonly [start: number, end: number] | undefined;
    readonly cols?: readonly [start: number, end: number] | undefined;
  }
}

/**
 * A copy of a rectangle of `a`.
 *
 * @throws {NumericalError} `invalid-argument` when a range leaves the matrix.
 * @example
 * ```ts
 * import { createMatrix, slice } from "@kvfold/linalg";
 * const a = createMatrix(2, 3, Float64Array.of(1, 2, 3, 4, 5, 6));
 * Array.from(slice(a, { cols: [1, 3] }).data) // => [2, 3, 5, 6]
 * ```
 */
export function slice(a: Matrix, { rows = [0, a.rows], cols = [0, a.cols] }: slice.Ranges): Matrix {
  requireRange("slice", "rows", rows[0], rows[1], a.rows);
  requireRange("slice", "cols", cols[0], cols[1], a.cols);
  const result = createMatrix(rows[1] - rows[0], cols[1] - cols[0]);
  for (let i = 0; i < result.rows; i++) {
    const start = (rows[0] + i) * a.cols + cols[0];
    result.data.set(a.data.subarray(start, start + result.cols), i * result.cols);
  }
  return result;
}

/** The matrix with `blocks` (of any shapes) along its diagonal and zeros elsewhere; no blocks give `[0, 0]`. */
export function blockDiagonal(blocks: readonly Matrix[]): Matrix {
  const result = createMatrix(sumOf(blocks, "rows"), sumOf(blocks, "cols"));
  let row = 0;
  let col = 0;
  for (const block of blocks) {
    place(result, block, row, col);
    row += block.rows;
    col += block.cols;
  }
  return result;
}

/**
 * The matrices one below the other: `[m1, n], [m2, n], …` give `[m1 + m2 + …, n]`.
 *
 * @throws {NumericalError} `shape-mismatch` when the widths differ, `invalid-argument` for an empty list.
 */
export function stackRows(list: readonly Matrix[]): Matrix {
  const { cols } = requireAligned("stackRows", list, "cols");
  const result = createMatrix(sumOf(list, "rows"), cols);
  let row = 0;
  for (const part of list) {
    place(result, part, row, 0);
    row += part.rows;
  }
  return result;
}

/**
 * The matrices side by side: `[m, n1], [m, n2], …` give `[m, n1 + n2 + …]`.
 *
 * @throws {NumericalError} `shape-mismatch` when the heights differ, `invalid-argument` for an empty list.
 */
export function stackColumns(list: readonly Matrix[]): Matrix {
  const { rows } = requireAligned("stackColumns", list, "rows");
  const result = createMatrix(rows, sumOf(list, "cols"));
  let col = 0;
  for (const part of list) {
    place(result, part, 0, col);
    col += part.cols;
  }
  return result;
}

const sumOf = (list: readonly Matrix[], axis: "rows" | "cols"): number =>
  list.reduce((total, matrix) => total + matrix[axis], 0);

function place(target: Matrix, part: Matrix, row: number, col: number): void {
  for (let i = 0; i < part.rows; i++) {
    target.data.set(part.data.subarray(i * part.cols, (i + 1) * part.cols), (row + i) * target.cols + col);
  }
}

function requireAligned(caller: string, list: readonly Matrix[], axis: "rows" | "cols"): Matrix {
  const first = list[0];
  if (first === undefined)
    throw new NumericalError("invalid-argument", `${caller}: expected at least one matrix, found none`);
  const index = list.findIndex((matrix) => matrix[axis] !== first[axis]);
  if (index === -1) return first;
  throw new NumericalError(
    "shape-mismatch",
    `${caller}: expected every matrix to have ${first[axis]} ${axis} like the first, found ${list[index]![axis]} in number ${index}`,
  );
}
