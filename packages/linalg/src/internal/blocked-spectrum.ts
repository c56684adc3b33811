import { type Matrix, transpose } from "../matrix.js";
import { applyReflectors } from "./apply-reflectors.js";
import { solveTridiagonal } from "./divide-and-conquer.js";
import type { Steps } from "./steps.js";
import { tridiagonalise } from "./tridiagonalise.js";

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
  const { values, vectors } = yield* solveTridiagonal(tridiagonal.diagonal, tridiagonal.offDiagonal, rank);
  yield* applyReflectors(tridiagonal, vectors);
  reverseRows(vectors);
  return { allValues: values.reverse(), vectors: transpose(vectors) };
}

function reverseRows({ rows, cols, data }: Matrix): void {
  for (let top = 0, bottom = rows - 1; top < bottom; top++, bottom--) {
    const row = data.slice(top * cols, (top + 1) * cols);
    data.copyWithin(top * cols, bottom * cols, (bottom + 1) * cols);
    data.set(row, bottom * cols);
  }
}
