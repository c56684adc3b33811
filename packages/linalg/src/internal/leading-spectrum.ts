import { createMatrix, type Matrix, transpose } from "../matrix.js";
import { applyReflectors } from "./apply-reflectors.js";
import { solveTridiagonal } from "./divide-and-conquer.js";
import { copyRow } from "./order.js";
import type { Steps } from "./steps.js";
import { tridiagonalise } from "./tridiagonalise.js";

/** All eigenvalues, descending, and the vectors of the first of them as columns: `vectors [n, rank]`. */
export interface LeadingSpectrum {
  readonly allValues: Float64Array;
  readonly vectors: Matrix;
}

/** The `rank` leading eigenpairs of `(a + aᵀ) / 2`, each vector's largest component positive. */
export function* leadingSpectrum(a: Matrix, rank: number): Steps<LeadingSpectrum> {
  const factor = powerOfTwoNear(a.data.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0));
  const tridiagonal = yield* tridiagonalise(symmetricPart(a, factor));
  const { values, vectors } = yield* solveTridiagonal(tridiagonal.diagonal, tridiagonal.offDiagonal, rank);
  yield* applyReflectors(tridiagonal, vectors);
  return { allValues: values.map((value) => value * factor).reverse(), vectors: toColumns(vectors) };
}

const powerOfTwoNear = (value: number): number => (value === 0 ? 1 : 2 ** Math.floor(Math.log2(value)));

/** The lower triangle of the symmetric part over `factor`, so that no square over- or underflows. */
function symmetricPart(a: Matrix, factor: number): Matrix {
  const n = a.rows;
  const result = createMatrix(n, n);
  // Tiles keep the column that is read across its rows in the first-level cache.
  const tile = 32;
  for (let row = 0; row < n; row += tile) {
    for (let col = 0; col <= row; col += tile) averageTile(a, result, row, col, tile, factor);
  }
  return result;
}

function averageTile(
  { rows: n, data }: Matrix,
  target: Matrix,
  row: number,
  col: number,
  tile: number,
  factor: number,
): void {
  for (let i = row; i < Math.min(row + tile, n); i++) {
    for (let j = col; j <= Math.min(i, col + tile - 1); j++)
      target.data[i * n + j] = (data[i * n + j]! / factor + data[j * n + i]! / factor) / 2;
  }
}

/** The rows, last first, as columns, each with the sign that makes its largest component (the first of several) positive. */
function toColumns(rows: Matrix): Matrix {
  const reversed = createMatrix(rows.rows, rows.cols);
  for (let i = 0; i < rows.rows; i++) {
    const to = rows.rows - 1 - i;
    copyRow(rows, i, reversed, to);
    orient(reversed.data.subarray(to * rows.cols, (to + 1) * rows.cols));
  }
  return transpose(reversed);
}

function orient(vector: Float64Array): void {
  let peak = 0;
  for (const value of vector) if (Math.abs(value) > Math.abs(peak)) peak = value;
  if (peak < 0) for (let i = 0; i < vector.length; i++) vector[i] = -vector[i]!;
}
