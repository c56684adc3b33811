import type { Basis } from "./basis.js";
import { requireFinite, requireRank } from "./internal/requirements.js";
import { rowSpectrum } from "./internal/row-spectrum.js";
import { scaledBasis } from "./internal/scaled-basis.js";
import { runThrough, type Steps } from "./internal/steps.js";
import { type Matrix, transpose } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";

export declare namespace principalBasis {
  interface Options {
    /** Makes the large products; this package when left out. */
    readonly products?: MatrixProducts | undefined;
  }
}

/**
 * The rank-`rank` store that loses least of `rows [m, n]` themselves (Eckart and Young, 1936): with `V` their top right
 * singular vectors and `S` the singular values, `encode = V S^-1` and `decode = S Vᵀ`, so the columns of `rows · encode` are
 * orthonormal. It is {@link obliqueBasis} of the covariance `rowsᵀ rows`.
 *
 * Numerics: small matrices are decomposed as they are (Golub and Kahan, in ml-matrix), with singular values good to `2^-52`
 * of the largest. Larger ones take the eigenvectors of `rowsᵀ rows`, in float64: there, directions below `1e-7` of the
 * largest singular value are rounding. In float32 weights they are that anyway. Directions below `3e-5` of the largest
 * have columns of unit length in `encode` instead.
 *
 * @throws {NumericalError} `not-finite` for NaN or infinity, `invalid-argument` when `rank` exceeds `n`. What `products`
 * throws passes through.
 * @example
 * ```ts
 * import { createMatrix, principalBasis } from "@kvfold/linalg";
 * const rows = createMatrix(2, 2, Float64Array.of(3, 0, 0, 4));
 * const { encode, decode, retained } = await principalBasis(rows, 1);
 * [Array.from(encode.data), Array.from(decode.data), retained] // => [[0, 0.25], [0, 4], 16 / 25]
 * ```
 */
export async function principalBasis(
  rows: Matrix,
  rank: number,
  { products = plainProducts }: principalBasis.Options = {},
): Promise<Basis> {
  requireRank("principalBasis", rank, rows.cols);
  requireFinite("principalBasis", "rows", rows);
  return runThrough(products, chooseBasis(rows, rank));
}

function* chooseBasis(rows: Matrix, rank: number): Steps<Basis> {
  const spectrum = yield* rowSpectrum(rows, rank);
  return scaledBasis(spectrum, { encode: spectrum.vectors, decode: transpose(spectrum.vectors) });
}
