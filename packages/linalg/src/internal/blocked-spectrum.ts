import { createMatrix, type Matrix, transpose } from "../matrix.js";
import { applyReflectors } from "./apply-reflectors.js";
import { diagonalise } from "./diagonalise.js";
import { solveTridiagonal } from "./divide-and-conquer.js";
import type { Steps } from "./steps.js";
import { type Tridiagonal, tridiagonalise } from "./tridiagonalise.js";

/** All eigenvalues, descending, and the vectors of the first of them as columns: `vectors [n, rank]`. */
export interface LeadingSpectrum {
  readonly allValues: Float64Array;
  readonly vectors: Matrix;
}

/**
 * The `rank` leading eigenpairs of a symmetric matrix scaled to values around 1, which is consumed; its lower triangle is
 * read. Vectors have signs of the algorithm's choice.
 */
export function* blockedSpectrum(a: Matrix, rank: number): Steps<LeadingSpectrum> {
  const tridiagonal = yield* tridiagonalise(a);
  if (rank === 0) return { allValues: tridiagonalValues(tridiagonal), vectors: createMatrix(a.rows, 0) };
  const { values, vectors } = yield* solveTridiagonal(tridiagonal.diagonal, tridiagonal.offDiagonal, rank);
  yield* applyReflectors(tridiagonal, vectors);
  reverseRows(vectors);
  return { allValues: values.reverse(), vectors: transpose(vectors) };
}

/** Eigenvalues alone, descending, take a time of `n²`. */
function tridiagonalValues({ diagonal, offDiagonal }: Tridiagonal): Float64Array {
  diagonalise(diagonal, offDiagonal, new Float64Array(0));
  return diagonal.sort().reverse();
}

function reverseRows({ rows, cols, data }: Matrix): void {
  for (let top = 0, bottom = rows - 1; top < bottom; top++, bottom--) {
    const row = data.slice(top * cols, (top + 1) * cols);
    data.copyWithin(top * cols, bottom * cols, (bottom + 1) * cols);
    data.set(row, bottom * cols);
  }
}
