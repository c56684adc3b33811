import { requireSquare } from "./internal/requirements.js";
import type { Matrix } from "./matrix.js";

/**
 * The trace `Σ a_ii`.
 *
 * @throws {NumericalError} `shape-mismatch` when `a` is not square.
 */
export function trace(a: Matrix): number {
  requireSquare("trace", "a", a);
  let total = 0;
  for (let i = 0; i < a.rows; i++) total += a.data[i * a.cols + i]!;
  return total;
}
