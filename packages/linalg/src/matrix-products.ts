import type { Matrix } from "./matrix.js";
import { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";

/**
 * Where large matrix products are made: a port, so that a faster engine than JavaScript (ONNX Runtime, WebAssembly, a
 * worker) can make them. The methods mean what the functions of these names do, and must neither change their arguments
 * nor keep them: they are overwritten for the next product. The result may be memory of the engine's own.
 */
export interface MatrixProducts {
  /** `a b`: `[m, k] · [k, n]` gives `[m, n]`. */
  multiply(a: Matrix, b: Matrix): Promise<Matrix>;
  /** `a bᵀ`: `[m, k]` and `[n, k]` give `[m, n]`. */
  multiplyTransposed(a: Matrix, b: Matrix): Promise<Matrix>;
  /** `aᵀ b`: `[k, m]` and `[k, n]` give `[m, n]`. */
  transposeMultiply(a: Matrix, b: Matrix): Promise<Matrix>;
}

/** The products of this package itself, on the calling thread: what stands in where there is no engine. */
export const plainProducts: MatrixProducts = {
  multiply: async (a, b) => multiply(a, b),
  multiplyTransposed: async (a, b) => multiplyTransposed(a, b),
  transposeMultiply: async (a, b) => transposeMultiply(a, b),
};
