import { createMatrix, type Matrix } from "../src/index.js";
import { factorInPlace } from "../src/internal/factor-in-place.js";
import { runInPlace } from "../src/internal/steps.js";

/** The lower triangular `L` with `L Lᵀ = a`. */
export function cholesky(a: Matrix): Matrix {
  const factor = createMatrix(a.rows, a.cols, a.data.slice());
  runInPlace(factorInPlace(factor));
  for (let i = 0; i < a.rows; i++) factor.data.fill(0, i * a.cols + i + 1, (i + 1) * a.cols);
  return factor;
}
