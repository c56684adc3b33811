import { factorInPlace } from "./internal/factor-in-place.js";
import { requireFinite, requireShape, requireSquare } from "./internal/requirements.js";
import { solveLowerInPlace, solveLowerTransposedInPlace } from "./internal/solve-triangular.js";
import { runInPlace, runThrough, type Steps } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";
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
export function ridgeSolve(options: ridgeSolve.Options): Matrix {
  return runInPlace(solve("ridgeSolve", options));
}

export declare namespace ridgeSolveAsync {
  interface Options extends ridgeSolve.Options {
    /** Who makes the large products; this package itself when left out. */
    readonly products?: MatrixProducts | undefined;
  }
}

/**
 * {@link ridgeSolve} with its large products made through a port: at `n` in the thousands nearly all of the work.
 *
 * @throws {NumericalError} as {@link ridgeSolve}. What `products` throws passes through.
 * @example
 * ```ts
 * import { createMatrix, ridgeSolveAsync } from "@kvfold/linalg";
 * const gram = createMatrix(1, 1, Float64Array.of(3));
 * const cross = createMatrix(1, 1, Float64Array.of(8));
 * (await ridgeSolveAsync({ gram, cross, lambda: 1 })).data[0] // => 2
 * ```
 */
export async function ridgeSolveAsync({
  products = plainProducts,
  ...options
}: ridgeSolveAsync.Options): Promise<Matrix> {
  return runThrough(products, solve("ridgeSolveAsync", options));
}

function* solve(caller: string, { gram, cross, lambda, prior }: ridgeSolve.Options): Steps<Matrix> {
  requireSystem(caller, { gram, cross, lambda, prior });
  const n = gram.rows;
  const factor = { ...gram, data: gram.data.slice() };
  for (let i = 0; i < n; i++) factor.data[i * n + i]! += lambda;
  yield* factorInPlace(factor);
  const solution = { ...cross, data: cross.data.slice() };
  if (prior !== undefined) addScaled(solution.data, prior.data, lambda);
  yield* solveLowerInPlace(factor, solution);
  yield* solveLowerTransposedInPlace(factor, solution);
  return solution;
}

function addScaled(target: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * values[i]!;
}

function requireSystem(caller: string, { gram, cross, lambda, prior }: ridgeSolve.Options): void {
  requireSquare(caller, "gram", gram);
  requireShape(caller, "cross", cross, gram.rows, cross.cols);
  if (prior !== undefined) requireShape(caller, "prior", prior, gram.rows, cross.cols);
  requireLambda(caller, lambda);
  for (const [name, matrix] of Object.entries({ gram, cross, prior })) {
    if (matrix !== undefined) requireFinite(caller, name, matrix);
  }
}

function requireLambda(caller: string, lambda: number): void {
  if (Number.isFinite(lambda) && lambda >= 0) return;
  throw new NumericalError("invalid-argument", `${caller}: expected a finite lambda >= 0, got ${lambda}`);
}
