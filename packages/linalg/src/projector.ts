import { energyOf } from "./energy.js";
import { multiplyBlocks, multiplyByBlocks } from "./internal/block-products.js";
import { blockRoots } from "./internal/block-roots.js";
import { leadingSpectrum } from "./internal/leading-spectrum.js";
import { requireFinite, requireRank, requireSquare } from "./internal/requirements.js";
import { runInPlace, runThrough, type Steps } from "./internal/steps.js";
import { type Matrix, transpose } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";
import { multiply } from "./multiply.js";
import { NumericalError } from "./numerical-error.js";

/** How rows `y [n]` are stored as `y · encode` (`[rank]`) and read back as `y · encode · decode`. */
export interface ObliqueBasis {
  /** `[n, rank]` */
  readonly encode: Matrix;
  /** `[rank, n]` */
  readonly decode: Matrix;
  /** Share of the metric-weighted energy `tr(M C)` kept, from 0 to 1; 1 when there is no energy. */
  readonly retained: number;
}

export declare namespace obliqueBasis {
  interface Options {
    /** Second moment or covariance `C [n, n]` of the rows to store. */
    readonly covariance: Matrix;
    /** What an error costs: `e M eᵀ`, `[n, n]`; the identity when left out. */
    readonly metric?: Matrix | undefined;
    /** Instead of `metric`: its square diagonal blocks, whose sizes add up to `n`. The result is the same, sooner. */
    readonly metricBlocks?: readonly Matrix[] | undefined;
    readonly rank: number;
    /** Eigenvalues of the metric below `floor` times its largest (over all blocks) are raised to it; in `(0, 1]`. */
    readonly floor?: number | undefined;
  }
}

/**
 * The rank-`rank` store of rows `y` that loses least under a metric: it minimises
 * `E[(y - y P) M (y - y P)ᵀ] = tr(M (I - P)ᵀ C (I - P))` over all projectors `P = encode · decode` of that rank.
 *
 * With `R = M^(1/2)` and `U` the top eigenvectors of `R C R`: `encode = R U`, `decode = Uᵀ R^-1`. Without a metric
 * `encode = U`, `decode = Uᵀ`: principal components, the orthogonal projector (Eckart and Young, 1936, in the
 * coordinates `y R`). Whatever the metric's scale, `P` is the same.
 *
 * Numerics: `decode · encode = I` to about `1e-10` at the default floor, which bounds the condition number of `R` by 1000.
 * Directions with equal eigenvalues are interchangeable, so compare `P`, not the bases. A metric that is zero altogether
 * carries no preference and counts as the identity.
 *
 * @throws {NumericalError} `shape-mismatch` when the sizes disagree, `invalid-argument` for a rank above `n` or for both kinds of
 * metric, and whatever {@link psdSquareRoot} and {@link symmetricEigen} throw.
 * @example
 * ```ts
 * import { createMatrix, obliqueBasis } from "@kvfold/linalg";
 * const covariance = createMatrix(2, 2, Float64Array.of(1, 0, 0, 2));
 * const metric = createMatrix(2, 2, Float64Array.of(9, 0, 0, 1));
 * obliqueBasis({ covariance, rank: 1 }).retained // => 2 / 3
 * obliqueBasis({ covariance, metric, rank: 1 }).retained // => 9 / 11
 * ```
 */
export function obliqueBasis(options: obliqueBasis.Options): ObliqueBasis {
  return runInPlace(chooseBasis("obliqueBasis", options));
}

export declare namespace obliqueBasisAsync {
  interface Options extends obliqueBasis.Options {
    /** Who makes the large products; this package itself when left out. */
    readonly products?: MatrixProducts | undefined;
  }
}

/**
 * {@link obliqueBasis} with its large products made through a port, for groups of heads thousands wide; see
 * {@link leadingEigenvectors} for what that saves.
 *
 * @throws {NumericalError} as {@link obliqueBasis}. What `products` throws passes through.
 * @example
 * ```ts
 * import { createMatrix, obliqueBasisAsync } from "@kvfold/linalg";
 * const covariance = createMatrix(2, 2, Float64Array.of(1, 0, 0, 2));
 * (await obliqueBasisAsync({ covariance, rank: 1 })).retained // => 2 / 3
 * ```
 */
export async function obliqueBasisAsync({
  products = plainProducts,
  ...options
}: obliqueBasisAsync.Options): Promise<ObliqueBasis> {
  return runThrough(products, chooseBasis("obliqueBasisAsync", options));
}

/** The projector `P = encode · decode`, `[n, n]`: rows come back from the store as `y P`. */
export function projector({ encode, decode }: Pick<ObliqueBasis, "encode" | "decode">): Matrix {
  return multiply(encode, decode);
}

function* chooseBasis(
  caller: string,
  { covariance, metric, metricBlocks, rank, floor = 1e-6 }: obliqueBasis.Options,
): Steps<ObliqueBasis> {
  requireSquare(caller, "covariance", covariance);
  requireRank(caller, rank, covariance.rows);
  requireFinite(caller, "covariance", covariance);
  const blocks = blocksOf(caller, metric, metricBlocks);
  if (blocks === undefined) {
    const { vectors, retained } = yield* leadingDirections(covariance, rank);
    return { encode: vectors, decode: transpose(vectors), retained };
  }
  requireBlocks(caller, blocks, covariance.rows);
  const pairs = yield* blockRoots(caller, blocks, floor);
  const roots = pairs.map(({ root }) => root);
  const weighted = yield* multiplyByBlocks(yield* multiplyBlocks(roots, covariance), roots);
  requireFinite(caller, "the covariance under the metric", weighted);
  const { vectors, retained } = yield* leadingDirections(weighted, rank);
  const inverseRoots = pairs.map(({ inverseRoot }) => inverseRoot);
  return {
    encode: yield* multiplyBlocks(roots, vectors),
    decode: yield* multiplyByBlocks(transpose(vectors), inverseRoots),
    retained,
  };
}

function* leadingDirections(a: Matrix, rank: number): Steps<{ vectors: Matrix; retained: number }> {
  const { allValues, vectors } = yield* leadingSpectrum(a, rank);
  return { vectors, retained: energyOf(allValues, rank) };
}

function blocksOf(
  caller: string,
  metric: Matrix | undefined,
  blocks: readonly Matrix[] | undefined,
): readonly Matrix[] | undefined {
  if (metric === undefined) return blocks;
  if (blocks === undefined) return [metric];
  throw new NumericalError(
    "invalid-argument",
    `${caller}: expected metric or metricBlocks, got both; leave one out`,
  );
}

function requireBlocks(caller: string, blocks: readonly Matrix[], n: number): void {
  for (const [index, block] of blocks.entries()) {
    requireSquare(caller, `metric block ${index}`, block);
    requireFinite(caller, `metric block ${index}`, block);
  }
  const size = blocks.reduce((total, { rows }) => total + rows, 0);
  if (size === n) return;
  throw new NumericalError(
    "shape-mismatch",
    `${caller}: expected the metric to be [${n}, ${n}], got [${size}, ${size}]`,
  );
}
