import type { Matrix } from "../matrix.js";

/** A window onto matrix data: element `(i, j)` is `data[offset + i * rowStride + j * colStride]`. */
export interface View {
  readonly data: Float64Array;
  readonly offset: number;
  readonly rows: number;
  readonly cols: number;
  readonly rowStride: number;
  readonly colStride: number;
}

/** The whole matrix as a view. */
export const viewOf = ({ rows, cols, data }: Matrix): View => ({
  data,
  offset: 0,
  rows,
  cols,
  rowStride: cols,
  colStride: 1,
});

/** The same data with rows and columns exchanged; nothing is copied. */
export const transposeView = (view: View): View => ({
  ...view,
  rows: view.cols,
  cols: view.rows,
  rowStride: view.colStride,
  colStride: view.rowStride,
});

/** The sub-view of half-open ranges of rows and columns. */
export const windowOf = (
  view: View,
  rowStart: number,
  rowEnd: number,
  colStart: number,
  colEnd: number,
): View => ({
  ...view,
  offset: view.offset + rowStart * view.rowStride + colStart * view.colStride,
  rows: rowEnd - rowStart,
  cols: colEnd - colStart,
});
