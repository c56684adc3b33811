import { type MatrixProducts, plainProducts } from "../src/index.js";

/** Plain products that count the multiply-adds of each method. */
export function recordingProducts(): {
  products: MatrixProducts;
  work: Record<keyof MatrixProducts, number>;
} {
  const work = { multiply: 0, multiplyTransposed: 0, transposeMultiply: 0 };
  const products: MatrixProducts = {
    multiply(a, b) {
      work.multiply += a.rows * a.cols * b.cols;
      return plainProducts.multiply(a, b);
    },
    multiplyTransposed(a, b) {
      work.multiplyTransposed += a.rows * a.cols * b.rows;
      return plainProducts.multiplyTransposed(a, b);
    },
    transposeMultiply(a, b) {
      work.transposeMultiply += a.rows * a.cols * b.cols;
      return plainProducts.transposeMultiply(a, b);
    },
  };
  return { products, work };
}
