export { blockDiagonal, slice, stackColumns, stackRows } from "./blocks.js";
export { cholesky } from "./cholesky.js";
export { leadingEigenvectors, type SymmetricEigen, symmetricEigen, topEigenvectors } from "./eigen.js";
export { energyShares } from "./energy.js";
export type { SquareRoots } from "./internal/block-roots.js";
export {
  add,
  createMatrix,
  fromFloat32,
  identity,
  type Matrix,
  scale,
  subtract,
  toFloat32,
  transpose,
} from "./matrix.js";
export { type MatrixProducts, plainProducts } from "./matrix-products.js";
export {
  accumulateMoments,
  covariance,
  createMoments,
  type MomentBlock,
  type Moments,
  meanOf,
  mergeMoments,
  secondMoment,
  sliceMoments,
} from "./moments.js";
export { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";
export { frobeniusNorm, trace } from "./norms.js";
export { NumericalError, type NumericalErrorCode } from "./numerical-error.js";
export { type ObliqueBasis, obliqueBasis, obliqueBasisAsync, projector } from "./projector.js";
export { psdSquareRoot } from "./roots.js";
export { ridgeSolve, ridgeSolveAsync } from "./solve.js";
export { type TruncatedSvd, truncatedSvd } from "./svd.js";
