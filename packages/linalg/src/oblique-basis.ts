import type { RankedBasis } from "./basis.js";
import { multiplyBlocks, multiplyByBlocks } from "./internal/block-products.js";
import { blockRoots } from "./internal/block-roots.js";
import { leadingSpectrum } from "./internal/leading-spectrum.js";
import { requireFinite, requireRank, requireSquare } from "./internal/requirements.js";
import { scaledBasis } from "./internal/scaled-basis.js";
import { runThrough, type Steps } from "./internal/steps.js";
import { type Matrix, transpose } from "./matrix.js";
import { type MatrixProducts, plainProducts } from "./matrix-products.js";
import { NumericalError } from "./numerical-error.js";

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
    /** Makes the large products ({@link leadingEigen} has what that saves); this package when left out. */
    readonly products?: MatrixProducts | undefined;
  }
}

/**
 * The rank-`rank` store of rows `y` that loses least under a metric: it minimises
 * `E[(y - y P) M (y - y P)ᵀ] = tr(M (I - P)ᵀ C (I - P))` over all projectors `P = encode · decode` of that rank.
 *
 * With `R = M^(1/2)`, `U` the top eigenvectors of `R C R` and `S` the roots of their eigenvalues, `encode = R U S^-1` and
 * `decode = S Uᵀ R^-1`. So `encodeᵀ C encode = I`: each stored number has unit variance, and no two are correlated.
 * Without a metric they are principal components over their deviations, and `P` is the orthogonal projector (Eckart and
 * Young, 1936, in the coordinates `y R`). Whatever the metric's scale, `P` is the same.
 *
 * Numerics: `decode · encode = I` to about `1e-10` at the default floor, which bounds the condition number of `R` by 1000.
 * Directions with equal eigenvalues are interchangeable, so compare `P`, not the bases. A direction whose eigenvalue is below
 * `1e-9` of the largest may be rounding alone: its column of `encode` gets unit length instead. A metric that is zero
 * altogether carries no preference and counts as the identity.
 *
 * @throws {NumericalError} `shape-mismatch` when the sizes disagree, `not-finite` for NaN or infinity,
 * `not-positive-definite` for a metric whose most negative eigenvalue outweighs the largest, `invalid-argument` for a rank
 * above `n`, a floor outside `(0, 1]` or both kinds of metric. What `products` throws passes through.
 * @example
 * ```ts
 * import { createMatrix, obliqueBasis } from "@kvfold/linalg";
 * const covariance = createMatrix(2, 2, Float64Array.of(1, 0, 0, 4));
 * const metric = createMatrix(2, 2, Float64Array.of(9, 0, 0, 1));
 * const { encode, decode, retained, energies } = await obliqueBasis({ covariance, rank: 1 });
 * [Array.from(encode.data), Array.from(decode.data), retained]; // => [[0, 0.5], [0, 2], 0.8]
 * Array.from(energies); // => [4, 1]
 * (await obliqueBasis({ covariance, metric, rank: 1 })).retained; // => 9 / 13
 * ```
 */
export async function obliqueBasis({
  products = plainProducts,
  ...options
}: obliqueBasis.Options): Promise<RankedBasis> {
  return runThrough(products, chooseBasis(options));
}

function* chooseBasis({
  covariance,
  metric,
  metricBlocks,
  rank,
  floor = 1e-6,
}: obliqueBasis.Options): Steps<RankedBasis> {
  requireSquare("obliqueBasis", "covariance", covariance);
  requireRank("obliqueBasis", rank, covariance.rows);
  requireFinite("obliqueBasis", "covariance", covariance);
  const blocks = blocksOf(metric, metricBlocks);
  if (blocks === undefined) {
    const spectrum = yield* leadingSpectrum(covariance, rank);
    return scaledBasis(spectrum, { encode: spectrum.vectors, decode: transpose(spectrum.vectors) });
  }
  requireBlocks(blocks, covariance.rows);
  const pairs = yield* blockRoots("obliqueBasis", blocks, floor);
  const roots = pairs.map(({ root }) => root);
  const weighted = yield* multiplyByBlocks(yield* multiplyBlocks(roots, covariance), roots);
  requireFinite("obliqueBasis", "the covariance under the metric", weighted);
  const spectrum = yield* leadingSpectrum(weighted, rank);
  const inverseRoots = pairs.map(({ inverseRoot }) => inverseRoot);
  return scaledBasis(spectrum, {
    encode: yield* multiplyBlocks(roots, spectrum.vectors),
    decode: yield* multiplyByBlocks(transpose(spectrum.vectors), inverseRoots),
  });
}

function blocksOf(
  metric: Matrix | undefined,
  blocks: readonly Matrix[] | undefined,
): readonly Matrix[] | undefined {
  if (metric === undefined) return blocks;
  if (blocks === undefined) return [metric];
  throw new NumericalError(
    "invalid-argument",
    "obliqueBasis: expected metric or metricBlocks, found both; leave one out",
  );
}

function requireBlocks(blocks: readonly Matrix[], n: number): void {
  for (const [index, block] of blocks.entries()) {
    requireSquare("obliqueBasis", `metric block ${index}`, block);
    requireFinite("obliqueBasis", `metric block ${index}`, block);
  }
  const size = blocks.reduce((total, { rows }) => total + rows, 0);
  if (size === n) return;
  throw new NumericalError(
    "shape-mismatch",
    `obliqueBasis: expected the metric to be [${n}, ${n}], found [${size}, ${size}]`,
  );
}
