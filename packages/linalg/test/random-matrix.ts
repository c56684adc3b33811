import fc from "fast-check";
import { createMatrix, type Matrix, multiply, transposeMultiply } from "../src/index.js";

/** Uniform in `[-1, 1)`, from a 32-bit linear congruential generator: fast, and the same everywhere. */
export function randomMatrix(rows: number, cols: number, seed: number): Matrix {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return createMatrix(rows, cols, Float64Array.from({ length: rows * cols }, next));
}

/** `XᵀX` of `[samples, n]` random values: positive definite when `samples >= n`, singular below. */
export function randomGram(n: number, seed: number, samples: number = 2 * n): Matrix {
  const x = randomMatrix(samples, n, seed);
  return transposeMultiply(x, x);
}

/** A random invertible `[n, n]`: the identity plus a random matrix that cannot undo it. */
export function randomInvertible(n: number, seed: number): Matrix {
  const noise = randomMatrix(n, n, seed);
  const data = noise.data.map((value, index) => value / (2 * n) + (index % (n + 1) === 0 ? 1 : 0));
  return createMatrix(n, n, data);
}

export const seeds: fc.Arbitrary<number> = fc.integer({ min: 0, max: 2 ** 31 - 1 });
export const sizes: fc.Arbitrary<number> = fc.integer({ min: 1, max: 24 });

/** The product by its definition, for comparison. */
export function naiveProduct(a: Matrix, b: Matrix): Matrix {
  const result = createMatrix(a.rows, b.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.cols; j++) {
      for (let k = 0; k < a.cols; k++)
        result.data[i * b.cols + j]! += a.data[i * a.cols + k]! * b.data[k * b.cols + j]!;
    }
  }
  return result;
}

/** `v diag(values) vᵀ`. */
export function recompose(vectors: Matrix, values: Float64Array): Matrix {
  const scaled = {
    ...vectors,
    data: vectors.data.map((value, index) => value * values[index % vectors.cols]!),
  };
  return multiply(scaled, { rows: vectors.cols, cols: vectors.rows, data: transposed(vectors) });
}

function transposed({ rows, cols, data }: Matrix): Float64Array {
  return Float64Array.from(
    { length: rows * cols },
    (_, index) => data[(index % rows) * cols + Math.floor(index / rows)]!,
  );
}
