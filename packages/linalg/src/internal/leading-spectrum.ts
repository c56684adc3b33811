import { createMatrix, type Matrix } from "../matrix.js";
import { blockedSpectrum, type LeadingSpectrum } from "./blocked-spectrum.js";
import { SMALL_SIZE, smallSpectrum } from "./small-spectrum.js";
import type { Steps } from "./steps.js";

/**
 * The `rank` leading eigenpairs of `(a + aᵀ) / 2`, each vector's largest component (the first of several) positive. Small
 * matrices go to ml-matrix, large ones to the blocked algorithm of this package: bench/crossover.mjs has the measurements.
 */
export function* leadingSpectrum(a: Matrix, rank: number): Steps<LeadingSpectrum> {
  const factor = powerOfTwoNear(a.data.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0));
  const scaled = symmetricPart(a, factor);
  const { allValues, vectors } =
    a.rows <= SMALL_SIZE ? smallSpectrum(scaled, rank) : yield* blockedSpectrum(scaled, rank);
  orientColumns(vectors);
  return { allValues: allValues.map((value) => value * factor), vectors };
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

/** Gives each column the sign that makes its largest component positive. */
export function orientColumns({ rows, cols, data }: Matrix): void {
  for (let col = 0; col < cols; col++) {
    let peak = 0;
    for (let at = col; at < data.length; at += cols)
      if (Math.abs(data[at]!) > Math.abs(peak)) peak = data[at]!;
    if (peak < 0) for (let row = 0; row < rows; row++) data[row * cols + col] = -data[row * cols + col]!;
  }
}
