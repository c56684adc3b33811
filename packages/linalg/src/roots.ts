import { blockRoots, type SquareRoots } from "./internal/block-roots.js";
import { requireFinite, requireSquare } from "./internal/requirements.js";
import { runInPlace } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";

export declare namespace psdSquareRoot {
  interface Options {
    /** Eigenvalues below `floor` times the largest are raised to it; in `(0, 1]`. */
    readonly floor?: number | undefined;
  }
}

/**
 * The symmetric square root of a positive semi-definite `a [n, n]`, and its inverse.
 *
 * Numerics: eigenvalues are raised to `floor · largest` first, so `root · inverseRoot = I` always and the condition
 * number of `root` is at most `1 / sqrt(floor)` (1000 by default). Small negative eigenvalues are rounding and are raised
 * too. A zero matrix carries no preference: both roots are then the identity.
 *
 * @throws {NumericalError} `not-finite` for NaN or infinity, `shape-mismatch` when not square, `invalid-argument` for a
 * floor outside `(0, 1]`, `not-positive-definite` when the most negative eigenvalue outweighs the largest.
 * @example
 * ```ts
 * import { createMatrix, psdSquareRoot } from "@kvfold/linalg";
 * const { root, inverseRoot } = psdSquareRoot(createMatrix(2, 2, Float64Array.of(4, 0, 0, 9)));
 * Array.from(root.data) // => [2, 0, 0, 3]
 * Array.from(inverseRoot.data) // => [0.5, 0, 0, 1 / 3]
 * ```
 */
export function psdSquareRoot(a: Matrix, { floor = 1e-6 }: psdSquareRoot.Options = {}): SquareRoots {
  requireSquare("psdSquareRoot", "a", a);
  requireFinite("psdSquareRoot", "a", a);
  return runInPlace(blockRoots("psdSquareRoot", [a], floor))[0]!;
}
