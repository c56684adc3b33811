import { blockDiagonal, slice } from "./blocks.js";
import { symmetricEigen } from "./eigen.js";
import { energyOf } from "./energy.js";
import { blockRoots, type SquareRoots } from "./internal/block-roots.js";
import { requireRank, requireShape, requireSquare } from "./internal/requirements.js";
import { type Matrix, transpose } from "./matrix.js";
import { multiply, transposeMultiply } from "./multiply.js";
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
export function obliqueBasis({
  covariance,
  metric,
  metricBlocks,
  rank,
  floor = 1e-6,
}: obliqueBasis.Options): ObliqueBasis {
  requireSquare("obliqueBasis", "covariance", covariance);
  requireRank("obliqueBasis", rank, covariance.rows);
  const blocks = blocksOf(metric, metricBlocks);
  if (blocks === undefined) {
    const { vectors, retained } = topDirections(covariance, rank);
    return { encode: vectors, decode: transpose(vectors), retained };
  }
  const { root, inverseRoot } = rootsOf(covariance.rows, blocks, floor);
  const { vectors, retained } = topDirections(multiply(multiply(root, covariance), root), rank);
  return { encode: multiply(root, vectors), decode: transposeMultiply(vectors, inverseRoot), retained };
}

/** The projector `P = encode · decode`, `[n, n]`: rows come back from the store as `y P`. */
export function projector({ encode, decode }: Pick<ObliqueBasis, "encode" | "decode">): Matrix {
  return multiply(encode, decode);
}

function topDirections(a: Matrix, rank: number): { vectors: Matrix; retained: number } {
  const { values, vectors } = symmetricEigen(a);
  return { vectors: slice(vectors, { cols: [0, rank] }), retained: energyOf(values, rank) };
}

function blocksOf(
  metric: Matrix | undefined,
  blocks: readonly Matrix[] | undefined,
): readonly Matrix[] | undefined {
  if (metric === undefined) return blocks;
  if (blocks === undefined) return [metric];
  throw new NumericalError(
    "invalid-argument",
    "obliqueBasis: expected metric or metricBlocks, got both; leave one out",
  );
}

function rootsOf(n: number, blocks: readonly Matrix[], floor: number): SquareRoots {
  for (const [index, block] of blocks.entries())
    requireSquare("obliqueBasis", `metric block ${index}`, block);
  const roots = blockRoots("obliqueBasis", blocks, floor);
  const root = blockDiagonal(roots.map((pair) => pair.root));
  requireShape("obliqueBasis", "the metric", root, n, n);
  return { root, inverseRoot: blockDiagonal(roots.map((pair) => pair.inverseRoot)) };
}
