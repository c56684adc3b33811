import { EigenvalueDecomposition, Matrix as MlMatrix } from "ml-matrix";
import { createMatrix, type Matrix } from "../matrix.js";
import type { LeadingSpectrum } from "./blocked-spectrum.js";

/** Up to this size ml-matrix finds eigenvectors no slower than the blocked algorithm: bench/crossover.mjs. */
export const SMALL_SIZE = 32;

/**
 * The `rank` leading eigenpairs of a symmetric matrix scaled to values around 1, of which the lower triangle is read.
 * Vectors have signs of the algorithm's choice.
 */
export function smallSpectrum(a: Matrix, rank: number): LeadingSpectrum {
  const n = a.rows;
  if (n === 0) return { allValues: new Float64Array(0), vectors: createMatrix(0, 0) };
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(mirrored(a), {
    assumeSymmetric: true,
  });
  const vectors = createMatrix(n, rank);
  for (let i = 0; i < n; i++) {
    // They come in ascending order.
    for (let j = 0; j < rank; j++) vectors.data[i * rank + j] = eigenvectorMatrix.get(i, n - 1 - j);
  }
  return { allValues: Float64Array.from(realEigenvalues).reverse(), vectors };
}

/** The whole matrix from its lower triangle. */
function mirrored({ rows: n, data }: Matrix): MlMatrix {
  const result = new MlMatrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      result.set(i, j, data[i * n + j]!);
      result.set(j, i, data[i * n + j]!);
    }
  }
  return result;
}
