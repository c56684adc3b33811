import { NumericalError } from "./numerical-error.js";

/** A dense real matrix `[rows, cols]` in row-major float64: element `(i, j)` is `data[i * cols + j]`. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array;
}

/**
 * Wraps `data` (not copied) as a `[rows, cols]` matrix, or makes a zero matrix when `data` is left out.
 *
 * @throws {NumericalError} `shape-mismatch` when the sizes are no counts or `data` has another length.
 * @example
 * ```ts
 * import { createMatrix } from "@kvfold/linalg";
 * const a = createMatrix(2, 3, Float64Array.of(1, 2, 3, 4, 5, 6));
 * a.data[1 * a.cols + 2] // => 6
 * ```
 */
export function createMatrix(rows: number, cols: number, data?: Float64Array): Matrix {
  requireCount("rows", rows);
  requireCount("cols", cols);
  if (data !== undefined && data.length !== rows * cols) {
    throw new NumericalError(
      "shape-mismatch",
      `createMatrix: expected ${rows} x ${cols} = ${rows * cols} values, found ${data.length}; pass row-major data of that length`,
    );
  }
  return { rows, cols, data: data ?? new Float64Array(rows * cols) };
}

/** The `[n, n]` identity. */
export function identity(n: number): Matrix {
  const result = createMatrix(n, n);
  for (let i = 0; i < n; i++) result.data[i * n + i] = 1;
  return result;
}

/** The transpose `[cols, rows]`, as a copy. */
export function transpose(a: Matrix): Matrix {
  const { rows, cols, data } = a;
  const result = new Float64Array(rows * cols);
  // Square tiles keep both the rows read and the rows written in the first-level cache.
  const tile = 32;
  for (let rowStart = 0; rowStart < rows; rowStart += tile) {
    const rowEnd = Math.min(rowStart + tile, rows);
    for (let colStart = 0; colStart < cols; colStart += tile) {
      const colEnd = Math.min(colStart + tile, cols);
      for (let i = rowStart; i < rowEnd; i++) {
        for (let j = colStart; j < colEnd; j++) result[j * rows + i] = data[i * cols + j]!;
      }
    }
  }
  return { rows: cols, cols: rows, data: result };
}

/** The values as float32, row-major; rounds to nearest, and magnitudes beyond about 3.4e38 become infinite. */
export function toFloat32(a: Matrix): Float32Array {
  return Float32Array.from(a.data);
}

/**
 * A `[rows, cols]` matrix holding a copy of row-major float32 `values`.
 *
 * @throws {NumericalError} `shape-mismatch` when `values` has another length.
 */
export function fromFloat32(rows: number, cols: number, values: Float32Array): Matrix {
  return createMatrix(rows, cols, Float64Array.from(values));
}

function requireCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new NumericalError(
    "shape-mismatch",
    `createMatrix: expected ${name} to be a non-negative integer, found ${value}`,
  );
}
