import { SingularValueDecomposition, WrapperMatrix1D } from "ml-matrix";
import { requireFinite, requireRank } from "./internal/requirements.js";
import { createMatrix, type Matrix } from "./matrix.js";

/** `a ≈ u diag(singularValues) vᵀ` with `u [m, rank]`, `v [n, rank]` and descending singular values. */
export interface TruncatedSvd {
  readonly u: Matrix;
  readonly singularValues: Float64Array;
  readonly v: Matrix;
}

/**
 * The best rank-`rank` approximation of `a [m, n]` in the Frobenius norm (Eckart and Young, 1936).
 *
 * Numerics: Golub and Kahan on `a` itself (never on the Gram matrix, which would square the condition number);
 * singular values to about `2^-52` of the largest. Any shape and any rank: null directions come back with singular
 * values near zero and vectors that are orthonormal all the same. Signs are those of the algorithm.
 *
 * @throws {NumericalError} `not-finite` for NaN or infinity, `invalid-argument` when `rank` exceeds `min(m, n)`.
 */
export function truncatedSvd(a: Matrix, rank: number): TruncatedSvd {
  requireRank("truncatedSvd", rank, Math.min(a.rows, a.cols));
  requireFinite("truncatedSvd", "a", a);
  if (rank === 0)
    return { u: createMatrix(a.rows, 0), singularValues: new Float64Array(0), v: createMatrix(a.cols, 0) };
  const svd = new SingularValueDecomposition(new WrapperMatrix1D(Array.from(a.data), { rows: a.rows }), {
    autoTranspose: true,
  });
  return {
    u: leadingColumns(svd.leftSingularVectors, rank),
    singularValues: Float64Array.from(svd.diagonal.slice(0, rank)),
    v: leadingColumns(svd.rightSingularVectors, rank),
  };
}

interface Readable {
  readonly rows: number;
  get(row: number, col: number): number;
}

function leadingColumns(source: Readable, count: number): Matrix {
  const result = createMatrix(source.rows, count);
  for (let i = 0; i < source.rows; i++) {
    for (let j = 0; j < count; j++) result.data[i * count + j] = source.get(i, j);
  }
  return result;
}
