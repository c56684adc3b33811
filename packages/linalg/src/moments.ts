/**
 * Second moments kept as sums over tokens, so that shards and calibration windows add:
 * `sum = Σ_t y_t`, `gram = Σ_t y_tᵀ y_t` for row vectors `y_t`.
 */
import { requireRange } from "./internal/requirements.js";
import { createMatrix, type Matrix } from "./matrix.js";
import { NumericalError } from "./numerical-error.js";

/** Sums over `count` row vectors of `width` values; `gram` is row-major `[width, width]`. */
export interface Moments {
  readonly width: number;
  readonly count: number;
  readonly sum: Float64Array;
  readonly gram: Float64Array;
}

/** Moments of one block of rows `Y [count, width]`: `sum` of the rows and `gram = YᵀY`, in either precision. */
export interface MomentBlock {
  readonly count: number;
  readonly sum: Float32Array | Float64Array;
  readonly gram: Float32Array | Float64Array;
}

/**
 * Moments of no rows at all.
 *
 * @throws {NumericalError} `shape-mismatch` when `width` is no count.
 */
export function createMoments(width: number): Moments {
  return { width, count: 0, sum: new Float64Array(width), gram: createMatrix(width, width).data };
}

/**
 * Adds a block's sums into the buffers of `moments`, which is consumed: go on with the moments returned.
 * In place, because a gram of width 2048 is 32 MiB and a calibration adds hundreds of blocks.
 *
 * Numerics: sums in float64, whatever the block's precision; values that are not finite are let through and are found
 * by {@link symmetricEigen}.
 *
 * @throws {NumericalError} `shape-mismatch` when the block has another width, `invalid-argument` when its count is no count.
 * @example
 * ```ts
 * import { accumulateMoments, createMoments, meanOf } from "@kvfold/linalg";
 * const block = { count: 2, sum: Float32Array.of(4), gram: Float32Array.of(10) }; // rows 1 and 3
 * Array.from(meanOf(accumulateMoments(createMoments(1), block)).data) // => [2]
 * ```
 */
export function accumulateMoments(moments: Moments, block: MomentBlock): Moments {
  requireBlock("accumulateMoments", moments.width, block);
  addInto(moments.sum, block.sum);
  addInto(moments.gram, block.gram);
  return { ...moments, count: moments.count + block.count };
}

/**
 * Moments of the rows of `a` and `b` together; neither is changed.
 *
 * @throws {NumericalError} `shape-mismatch` when the widths differ.
 */
export function mergeMoments(a: Moments, b: Moments): Moments {
  requireBlock("mergeMoments", a.width, b);
  return accumulateMoments({ ...a, sum: a.sum.slice(), gram: a.gram.slice() }, b);
}

/**
 * The second moment `E[yᵀy] = gram / count`, `[width, width]`.
 *
 * @throws {NumericalError} `invalid-argument` when nothing was accumulated.
 */
export function secondMoment(moments: Moments): Matrix {
  requireRows("secondMoment", moments);
  const { width, count, gram } = moments;
  return createMatrix(
    width,
    width,
    gram.map((value) => value / count),
  );
}

/**
 * The mean `E[y] = sum / count`, `[1, width]`.
 *
 * @throws {NumericalError} `invalid-argument` when nothing was accumulated.
 */
export function meanOf(moments: Moments): Matrix {
  requireRows("meanOf", moments);
  const { width, count, sum } = moments;
  return createMatrix(
    1,
    width,
    sum.map((value) => value / count),
  );
}

/**
 * The covariance `gram / count - meanᵀ mean`, `[width, width]`, divided by `count` (not `count - 1`).
 *
 * Numerics: a difference, so its absolute error is that of the second moment: when the mean is `k` times the standard
 * deviation, about `k²` times the block precision is lost, and eigenvalues may come out slightly negative.
 *
 * @throws {NumericalError} `invalid-argument` when nothing was accumulated.
 */
export function covariance(moments: Moments): Matrix {
  const result = secondMoment(moments);
  const { data: mean } = meanOf(moments);
  const { width } = moments;
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < width; j++) result.data[i * width + j]! -= mean[i]! * mean[j]!;
  }
  return result;
}

/**
 * Moments of the components `[start, end)` alone: a piece of `sum` and a diagonal block of `gram`, copied.
 *
 * @throws {NumericalError} `invalid-argument` when the range leaves `[0, width)`.
 */
export function sliceMoments(moments: Moments, start: number, end: number): Moments {
  const { width, count, sum, gram } = moments;
  requireRange("sliceMoments", "components", start, end, width);
  const size = end - start;
  const block = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const from = (start + i) * width + start;
    block.set(gram.subarray(from, from + size), i * size);
  }
  return { width: size, count, sum: sum.slice(start, end), gram: block };
}

function addInto(target: Float64Array, source: Float32Array | Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += source[i]!;
}

function requireBlock(caller: string, width: number, block: MomentBlock): void {
  const { count, sum, gram } = block;
  if (sum.length !== width || gram.length !== width * width) {
    throw new NumericalError(
      "shape-mismatch",
      `${caller}: expected sum and gram of width ${width} (${width} and ${width * width} values), got ${sum.length} and ${gram.length}`,
    );
  }
  if (Number.isSafeInteger(count) && count >= 0) return;
  throw new NumericalError(
    "invalid-argument",
    `${caller}: expected count to be a number of rows, got ${count}`,
  );
}

function requireRows(caller: string, { count }: Moments): void {
  if (count > 0) return;
  throw new NumericalError(
    "invalid-argument",
    `${caller}: expected moments of at least one row, got none; accumulate a block first`,
  );
}
