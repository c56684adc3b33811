import { factorInPlace } from "./internal/factor-in-place.js";
import { requireFinite, requireShape, requireSquare } from "./internal/requirements.js";
import { solveLowerInPlace, solveLowerTransposedInPlace } from "./internal/solve-triangular.js";
import type { Matrix } from "./matrix.js";
import { NumericalError } from "./numerical-error.js";

export declare namespace ridgeSolve {
  interface Options {
    /** `A [n, n]`, symmetric positive semi-definite (its lower triangle is read). */
    readonly gram: Matrix;
    /** `B [n, m]` */
    readonly cross: Matrix;
    /** `λ >= 0`, in the units of `A`'s diagonal; `1e-3` of its mean is a good start. */
    readonly lambda: number;
    /** `[n, m]`: what `W` is drawn to where the data says nothing; zero when left out. */
    readonly prior?: Matrix | undefined;
  }
}

/**
 * The ridge regression `W [n, m]` of `(A + λ I) W = B + λ · prior`: the minimum of
 * `|Z W - Y|² + λ |W - prior|²` where `A = ZᵀZ` and `B = ZᵀY` (or both divided by the number of rows).
 *
 * Numerics: blocked Cholesky and two triangular solves in float64; relative error about `2^-53` times the condition
 * number of `A + λ I`, which `λ` bounds by `λmax(A) / λ + 1`. Time `n³/3 + 2 n² m` multiply-adds.
 *
 * @throws {NumericalError} `not-positive-definite` when `λ` is too small for a singular `A`, `not-finite` naming the argument,
 * `shape-mismatch` when the sizes disagree, `invalid-argument` for a negative `λ`.
 * @example
 * ```ts
 * import { createMatrix, ridgeSolve } from "@kvfold/linalg";
 * const gram = createMatrix(1, 1, Float64Array.of(3));
 * const cross = createMatrix(1, 1, Float64Array.of(8));
 * ridgeSolve({ gram, cross, lambda: 1 }).data[0] // => 2
 * ridgeSolve({ gram, cross, lambda: 1, prior: gram }).data[0] // => 2.75
 * ```
 */
export function ridgeSolve({ gram, cross, lambda, prior }: ridgeSolve.Options): Matrix {
  const n = gram.rows;
  requireSquare("ridgeSolve", "gram", gram);
  requireShape("ridgeSolve", "cross", cross, n, cross.cols);
  if (prior !== undefined) requireShape("ridgeSolve", "prior", prior, n, cross.cols);
  requireLambda(lambda);
  for (const [name, matrix] of Object.entries({ gram, cross, prior })) {
    if (matrix !== undefined) requireFinite("ridgeSolve", name, matrix);
  }
  const factor = { ...gram, data: gram.data.slice() };
  for (let i = 0; i < n; i++) factor.data[i * n + i]! += lambda;
  factorInPlace(factor);
  const solution = {
    ...cross,
    data: cross.data.map((value, index) => value + lambda * (prior?.data[index] ?? 0)),
  };
  solveLowerInPlace(factor, solution);
  solveLowerTransposedInPlace(factor, solution);
  return solution;
}

function requireLambda(lambda: number): void {
  if (Number.isFinite(lambda) && lambda >= 0) return;
  throw new NumericalError("invalid-argument", `ridgeSolve: expected a finite lambda >= 0, got ${lambda}`);
}
