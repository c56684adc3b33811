import { identity, type Matrix, multiply, subtract, transposeMultiply } from "../src/index.js";
import { frobeniusNorm } from "./max-difference.js";

/** The sine of the largest angle between the spans of two orthonormal bases `[n, r]`, or somewhat more. */
export const sineBetween = (a: Matrix, b: Matrix): number =>
  frobeniusNorm(subtract(b, multiply(a, transposeMultiply(a, b))));

/** How far the columns are from orthonormal. */
export const faultOfBasis = (a: Matrix): number =>
  frobeniusNorm(subtract(transposeMultiply(a, a), identity(a.cols)));
