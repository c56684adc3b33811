export { add, scale, subtract } from "./arithmetic.js";
export { type Basis, projector, type RankedBasis } from "./basis.js";
export { blockDiagonal, slice, stackColumns, stackRows } from "./blocks.js";
export { choleskyInPlace } from "./cholesky.js";
export {
  type LeadingEigen,
  leadingEigen,
  type SymmetricEigen,
  symmetricEigen,
  symmetricEigenvalues,
} from "./eigen.js";
export { energyShares } from "./energy.js";
export { createMatrix, fromFloat32, identity, type Matrix, toFloat32, transpose } from "./matrix.js";
export { type MatrixProducts, plainProducts } from "./matrix-products.js";
export { covariance, type Moments, meanOf, mergeMoments, secondMoment, sliceMoments } from "./moments.js";
export { multiply, multiplyTransposed, transposeMultiply } from "./multiply.js";
export { NumericalError, type NumericalErrorCode } from "./numerical-error.js";
export { obliqueBasis } from "./oblique-basis.js";
export { principalBasis } from "./principal-basis.js";
export { ridgeSolve, ridgeSolveInPlace } from "./solve.js";
export { type ThinQr, thinQr } from "./thin-qr.js";
export { trace } from "./trace.js";
