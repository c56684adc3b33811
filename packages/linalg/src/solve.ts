import { factorInPlace } from "./internal/factor-in-place.js";
import { requireFinite, requireShape, requireSquare } from "./internal/requirements.js";
import { solveLowerInPlace, solveLowerTransposedInPlace } from "./internal/solve-triangular.js";
import { runThrough, type Steps } from "./internal/steps.js";
import type { Matrix } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";
import { NumericalError } from "./numerical-error.js";

export declare namespace ridgeSolve {
  interface Options {
    /** `A [n, n]`, symmetric positive semi-definite (its lower triangle is read). */
    readonly gram: Matrix;
    /** `B [n, m]` */
    readonly cross: Matrix;
    /**
     * The diagonal of `Λ`: a number for all `n` inputs, or `[n]` with one for each, in the units of `A`'s diagonal. A share
     * of that diagonal, such as `1e-3 A_ii`, makes a fit that does not depend on the units of the inputs. Never negative.
     */
    readonly lambda: number | ArrayLike<number>;
    /** `[n, m]`: what `W` is drawn to where the data says nothing; zero when left out. */
    readonly prior?: Matrix | undefined;
    /** Makes the large products, nearly all of the work where `n` is in the thousands; this package when left out. */
    readonly products?: MatrixProducts | undefined;
  }
}

/**
 * The ridge regression `W [n, m]` of `(A + Λ) W = B + Λ · prior` with a diagonal `Λ`: the minimum of
 * `|Z W - Y|² + Σ_i Λ_i |W_i - prior_i|²` over the rows of `W`, where `A = ZᵀZ` and `B = ZᵀY` (or both divided by the
 * number of rows).
 *
 * Numerics: blocked Cholesky and two triangular solves in float64; relative error about `2^-53` times the condition
 * number of `A + Λ` with its diagonal scaled to one, which `Λ_i = r A_ii` bounds by `n / r + 1`. An input that is zero
 * throughout keeps its prior where its `Λ_i` is positive. Time `n³/3 + 2 n² m` multiply-adds.
 *
 * @throws {NumericalError} `not-positive-definite` when `Λ` is too small for a singular `A`, `not-finite` naming the
 * argument, `shape-mismatch` when the sizes disagree, `invalid-argument` for a negative `Λ_i`. What `products` throws passes
 * through.
 * @example
 * ```ts
 * import { createMatrix, ridgeSolve } from "@kvfold/linalg";
 * const gram = createMatrix(1, 1, Float64Array.of(3));
 * const cross = createMatrix(1, 1, Float64Array.of(8));
 * (await ridgeSolve({ gram, cross, lambda: 1 })).data[0]; // => 2
 * (await ridgeSolve({ gram, cross, lambda: [1], prior: gram })).data[0]; // => 2.75
 * ```
 */
export async function ridgeSolve({ gram, cross, ...rest }: ridgeSolve.Options): Promise<Matrix> {
  return ridgeSolveInPlace({ gram: copyOf(gram), cross: copyOf(cross), ...rest });
}

const copyOf = (matrix: Matrix): Matrix => ({ ...matrix, data: matrix.data.slice() });

/**
 * `ridgeSolve` without copies of its system, for those as large as memory: `gram` is overwritten (with the factor of
 * `A + Λ` in its lower triangle), and the solution takes the place of `cross`, whose array it is. After an error both hold
 * nothing of use.
 *
 * Numerics: the numbers of `ridgeSolve`.
 *
 * @throws {NumericalError} as `ridgeSolve`; what is wrong with the arguments is found before anything is overwritten.
 * @example
 * ```ts
 * import { createMatrix, ridgeSolveInPlace } from "@kvfold/linalg";
 * const gram = createMatrix(1, 1, Float64Array.of(3));
 * const cross = createMatrix(1, 1, Float64Array.of(8));
 * await ridgeSolveInPlace({ gram, cross, lambda: 1 });
 * cross.data[0]; // => 2
 * ```
 */
export async function ridgeSolveInPlace({
  products = plainProducts,
  ...system
}: ridgeSolve.Options): Promise<Matrix> {
  return runThrough(products, solveInPlace(system));
}

function* solveInPlace({ gram, cross, lambda, prior }: Omit<ridgeSolve.Options, "products">): Steps<Matrix> {
  requireSystem({ gram, cross, lambda, prior });
  const n = gram.rows;
  const ridge = typeof lambda === "number" ? new Float64Array(n).fill(lambda) : lambda;
  for (let i = 0; i < n; i++) gram.data[i * n + i]! += ridge[i]!;
  yield* factorInPlace(gram);
  if (prior !== undefined) addScaledRows(cross, prior, ridge);
  yield* solveLowerInPlace(gram, cross);
  yield* solveLowerTransposedInPlace(gram, cross);
  return cross;
}

/** `target_i += factors_i · rows_i` */
function addScaledRows(
  { rows, cols, data }: Matrix,
  { data: values }: Matrix,
  factors: ArrayLike<number>,
): void {
  for (let i = 0; i < rows; i++) {
    for (let at = i * cols; at < (i + 1) * cols; at++) data[at]! += factors[i]! * values[at]!;
  }
}

function requireSystem({ gram, cross, lambda, prior }: ridgeSolve.Options): void {
  requireSquare("ridgeSolve", "gram", gram);
  requireShape("ridgeSolve", "cross", cross, gram.rows, cross.cols);
  if (prior !== undefined) requireShape("ridgeSolve", "prior", prior, gram.rows, cross.cols);
  requireLambda(lambda, gram.rows);
  for (const [name, matrix] of Object.entries({ gram, cross, prior })) {
    if (matrix !== undefined) requireFinite("ridgeSolve", name, matrix);
  }
}

function requireLambda(lambda: number | ArrayLike<number>, size: number): void {
  const values = typeof lambda === "number" ? [lambda] : Array.from(lambda);
  if (typeof lambda !== "number" && values.length !== size) {
    throw new NumericalError(
      "shape-mismatch",
      `ridgeSolve: expected a lambda for each of ${size} inputs, found ${values.length}`,
    );
  }
  const invalid = values.find((value) => !(Number.isFinite(value) && value >= 0));
  if (invalid === undefined) return;
  throw new NumericalError("invalid-argument", `ridgeSolve: expected a finite lambda >= 0, found ${invalid}`);
}
