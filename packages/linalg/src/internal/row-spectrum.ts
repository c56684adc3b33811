import { SingularValueDecomposition, WrapperMatrix1D } from "ml-matrix";
import { createMatrix, type Matrix } from "../matrix.js";
import type { LeadingSpectrum } from "./blocked-spectrum.js";
import { leadingSpectrum, orientColumns } from "./leading-spectrum.js";
import { multiplied, type Steps } from "./steps.js";
import { transposeView, viewOf } from "./view.js";

/**
 * Rows whose decomposition takes no more than about this many multiply-adds, `m n min(m, n)`, are left to ml-matrix: some
 * ten milliseconds, three times what their second moment takes, for small singular values that are no rounding.
 */
const SMALL_WORK = 2 ** 20;

/** The `rank` leading eigenpairs of `rowsᵀ rows`, `rows [m, n]`, as {@link leadingSpectrum} gives them. */
export function* rowSpectrum(rows: Matrix, rank: number): Steps<LeadingSpectrum> {
  const least = Math.min(rows.rows, rows.cols);
  if (rank <= least && rows.rows * rows.cols * least <= SMALL_WORK && least > 0)
    return decomposeRows(rows, rank);
  const view = viewOf(rows);
  return yield* leadingSpectrum(yield* multiplied(transposeView(view), view), rank);
}

/** The same by a singular value decomposition of the rows themselves; `rank` at most `min(m, n)`. */
export function decomposeRows({ rows, cols, data }: Matrix, rank: number): LeadingSpectrum {
  const { diagonal, rightSingularVectors } = new SingularValueDecomposition(
    new WrapperMatrix1D(Array.from(data), { rows }),
    { autoTranspose: true, computeLeftSingularVectors: false },
  );
  const vectors = createMatrix(cols, rank);
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j < rank; j++) vectors.data[i * rank + j] = rightSingularVectors.get(i, j);
  }
  orientColumns(vectors);
  return { allValues: Float64Array.from(diagonal, (value) => value * value), vectors };
}
