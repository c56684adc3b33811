import type { Matrix } from "../matrix.js";

/** The indices of `values`, smallest value first; equal values keep their order. */
export const ascending = (values: Float64Array): number[] =>
  Array.from(values.keys()).sort((i, j) => values[i]! - values[j]!);

/** `values` at `indices`. */
export const pick = (values: Float64Array, indices: readonly number[]): Float64Array =>
  Float64Array.from(indices, (index) => values[index]!);

/** Copies a row between matrices of one width. */
export function copyRow(source: Matrix, from: number, target: Matrix, to: number): void {
  target.data.set(source.data.subarray(from * source.cols, (from + 1) * source.cols), to * target.cols);
}
