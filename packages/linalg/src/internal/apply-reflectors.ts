/**
 * Eigenvectors of `A = Q T Qᵀ` from those of `T`: reflectors are applied many at a time in the compact form
 * `H_s H_(s+1) … = I - U M Uᵀ` with a small triangular `M`.
 * R. Schreiber and C. Van Loan, "A storage-efficient WY representation for products of Householder transformations",
 * SIAM J. Sci. Stat. Comput. 10(1), 1989.
 */
import { createMatrix, type Matrix } from "../matrix.js";
import { multiplied, type Steps } from "./steps.js";
import type { Tridiagonal } from "./tridiagonalise.js";
import { transposeView, viewOf, windowOf } from "./view.js";

/** Reflectors applied together. */
const blockReflectors = 64;

/** Overwrites `rows [count, n]`, whose rows are vectors `y` of `T`, with the vectors `Q y` of `A`. */
export function* applyReflectors({ reflectors, scales }: Tridiagonal, rows: Matrix): Steps<void> {
  const n = scales.length;
  for (let start = 1; start < n; start += blockReflectors) {
    const end = Math.min(start + blockReflectors, n);
    // The last reflector reaches to column end - 1.
    const reach = end - 1;
    const vectors = reflectorRows(reflectors, start, end);
    const view = viewOf(vectors);
    const gram = yield* multiplied(view, transposeView(view));
    const triangular = compactFactor(gram, scales.subarray(start, end));
    const touched = windowOf(viewOf(rows), 0, rows.rows, 0, reach);
    const inner = yield* multiplied(touched, transposeView(view));
    const outer = yield* multiplied(viewOf(triangular), view);
    yield { target: touched, left: viewOf(inner), right: viewOf(outer), factor: -1 };
  }
}

/** `Uᵀ [end - start, end - 1]`: reflector `i` in columns `[0, i)`, zeros after. */
function reflectorRows({ cols: n, data }: Matrix, start: number, end: number): Matrix {
  const result = createMatrix(end - start, end - 1);
  for (let i = start; i < end; i++)
    result.data.set(data.subarray(i * n, i * n + i), (i - start) * result.cols);
  return result;
}

/** The upper triangular `M` from `UᵀU`: column `k` is `-M Uᵀu_k / h_k` above the diagonal and `1 / h_k` on it. */
function compactFactor(gram: Matrix, scales: Float64Array): Matrix {
  const size = scales.length;
  const result = createMatrix(size, size);
  for (let k = 0; k < size; k++) {
    if (scales[k] === 0) continue;
    const factor = 1 / scales[k]!;
    for (let i = 0; i < k; i++) {
      let sum = 0;
      for (let j = i; j < k; j++) sum += result.data[i * size + j]! * gram.data[j * size + k]!;
      result.data[i * size + k] = -factor * sum;
    }
    result.data[k * size + k] = factor;
  }
  return result;
}
