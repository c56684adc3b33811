import { createMatrix, type Matrix } from "../matrix.js";

/**
 * The inverse of rows and columns `[start, end)` of a lower triangular matrix, whose diagonal is not zero; only its lower
 * triangle is read. For blocks so small that what a product with the inverse saves outweighs this.
 *
 * Numerics: a product with it solves the block's equations to `2^-53` times the condition number of the block.
 */
export function invertLower({ cols: n, data }: Matrix, start: number, end: number): Matrix {
  const size = end - start;
  const inverse = createMatrix(size, size);
  for (let i = 0; i < size; i++) {
    const row = (start + i) * n + start;
    const pivot = data[row + i]!;
    for (let k = 0; k < i; k++) {
      const factor = data[row + k]! / pivot;
      for (let j = 0; j <= k; j++) inverse.data[i * size + j]! -= factor * inverse.data[k * size + j]!;
    }
    inverse.data[i * size + i] = 1 / pivot;
  }
  return inverse;
}
