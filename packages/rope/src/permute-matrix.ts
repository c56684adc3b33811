import { checkCounts, checkLength } from "./internal/check-shape.js";
import { type FloatArray, zerosLike } from "./internal/float-array.js";
import { RopeError } from "./rope-error.js";

export declare namespace permuteColumns {
  interface Options<A extends FloatArray = FloatArray> {
    readonly rows: number;
    readonly columns: number;
    /** Result index i takes what stood at `permutation[i]`. */
    readonly permutation: ArrayLike<number>;
    /** Where to write; must not share memory with the input. Default: a new array. */
    readonly out?: A;
  }
}

/**
 * Reorders the columns of a row-major `[rows, columns]` matrix.
 *
 * @returns `[rows, columns]`: `out` where given.
 * @throws {RopeError} `shape-mismatch` when an array does not fit; `invalid-argument` when `permutation` names a column
 * that does not exist or `out` shares memory with the input.
 *
 * @example
 * ```ts
 * import { permuteColumns } from "@kvfold/rope";
 *
 * const matrix = new Float32Array([1, 2, 3, 4, 5, 6]);
 * Array.from(permuteColumns(matrix, { rows: 2, columns: 3, permutation: [2, 0, 1] })) // => [3, 1, 2, 6, 4, 5]
 * ```
 */
export function permuteColumns<A extends FloatArray>(matrix: A, options: permuteColumns.Options<A>): A {
  const { rows, columns, permutation, out = zerosLike(matrix, matrix.length) } = options;
  checkPermutation("permuteColumns", matrix, { rows, columns, permutation, out }, columns);
  for (let row = 0; row < matrix.length; row += columns) {
    for (let column = 0; column < columns; column++) out[row + column] = matrix[row + permutation[column]!]!;
  }
  return out;
}

/**
 * Reorders the rows of a row-major `[rows, columns]` matrix; a bias is such a matrix with one column.
 *
 * @returns `[rows, columns]`: `out` where given.
 * @throws {RopeError} As {@link permuteColumns}.
 *
 * @example
 * ```ts
 * import { permuteRows } from "@kvfold/rope";
 *
 * const matrix = new Float32Array([1, 2, 3, 4, 5, 6]);
 * Array.from(permuteRows(matrix, { rows: 3, columns: 2, permutation: [2, 0, 1] })) // => [5, 6, 1, 2, 3, 4]
 * ```
 */
export function permuteRows<A extends FloatArray>(matrix: A, options: permuteColumns.Options<A>): A {
  const { rows, columns, permutation, out = zerosLike(matrix, matrix.length) } = options;
  checkPermutation("permuteRows", matrix, { rows, columns, permutation, out }, rows);
  for (let row = 0; row < rows; row++) {
    const source = permutation[row]! * columns;
    out.set(matrix.subarray(source, source + columns), row * columns);
  }
  return out;
}

function checkPermutation(
  caller: string,
  matrix: FloatArray,
  { rows, columns, permutation, out }: Required<permuteColumns.Options>,
  size: number,
): void {
  checkCounts(caller, { rows, columns }, 0);
  checkLength(caller, "the matrix", matrix.length, rows * columns, `${rows} rows of ${columns}`);
  checkLength(caller, "out", out.length, matrix.length, "as the matrix");
  checkLength(caller, "permutation", permutation.length, size, "one index each");
  const misfit = Array.from(permutation).find(
    (index) => !(Number.isInteger(index) && index >= 0 && index < size),
  );
  if (misfit !== undefined) {
    throw new RopeError(
      "invalid-argument",
      `${caller}: expected permutation to hold 0 to ${size - 1}, found ${misfit}`,
    );
  }
  if (sharesMemory(matrix, out)) {
    throw new RopeError(
      "invalid-argument",
      `${caller}: expected out not to share memory with the input; leave it out`,
    );
  }
}

function sharesMemory(a: FloatArray, b: FloatArray): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  );
}
