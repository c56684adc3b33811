import type { Linear } from "@kvfold/decoder";
import { fromFloat32, multiplyTransposed, symmetricEigen, transposeMultiply } from "@kvfold/linalg";

/** Singular values below this share of the largest are the rounding of a half-precision checkpoint. */
const SMALLEST = 1e-6;

/**
 * `log(sigma_max / sigma_min)` of a projection's weight, over the `min(inputs, outputs)` singular values it has, each at
 * least 1e-6 of the largest.
 *
 * Numerics: roots of the Gram matrix's eigenvalues in float64, whose noise of 1e-12 is the root of just that floor. A
 * matrix of zeros counts as perfectly conditioned, 0.
 */
export function logConditionNumber({ inputs, outputs, weight }: Linear): number {
  const matrix = fromFloat32(inputs, outputs, weight);
  const gram = inputs < outputs ? multiplyTransposed(matrix, matrix) : transposeMultiply(matrix, matrix);
  const { values } = symmetricEigen(gram);
  const [largest, smallest] = [values[0]!, values.at(-1)!];
  if (largest <= 0) return 0;
  return -Math.log(Math.max(smallest / largest, SMALLEST ** 2)) / 2;
}
