import {
  identity,
  type Matrix,
  multiply,
  projector,
  subtract,
  trace,
  transposeMultiply,
} from "@kvfold/linalg";
import type { Basis } from "../../src/index.js";

/** `tr((I - P)ᵀ C (I - P) M)`: the expected cost of what a basis loses. */
export function expectedCost(basis: Basis, moment: Matrix, metric: Matrix): number {
  const lost = subtract(identity(moment.rows), projector(basis));
  return trace(multiply(transposeMultiply(lost, multiply(moment, lost)), metric));
}
