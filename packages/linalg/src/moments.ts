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

/**
 * Moments of the rows of `a` and `b` together; neither is changed.
 *
 * @throws {NumericalError} `shape-mismatch` when the widths differ.
 * @example
 * ```ts
 * import { meanOf, mergeMoments } from "@kvfold/linalg";
 * const of = (y: number) => ({ width: 1, count: 1, sum: Float64Array.of(y), gram: Float64Array.of(y * y) });
 * Array.from(meanOf(mergeMoments(of(1), of(3))).data) // => [2]
 * ```
 */
export function mergeMoments(a: Moments, b: Moments): Moments {
  if (a.width !== b.width) {
    throw new NumericalError(
      "shape-mismatch",
      `mergeMoments: expected moments of one width, found ${a.width} and ${b.width}`,
    );
  }
  return {
    width: a.width,
    count: a.count + b.count,
    sum: a.sum.map((value, index) => value + b.sum[index]!),
    gram: a.gram.map((value, index) => value + b.gram[index]!),
  };
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
 * Numerics: a difference in float64, so its absolute error is that of the second moment. When the mean is `k` times the
 * standard deviation, the relative error is `k²` times that of the sums: `k² · 2^-53` where they were taken exactly, `k² · 2^-24`
 * where they were taken in float32 about zero. Eigenvalues may come out slightly negative.
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

function requireRows(caller: string, { count }: Moments): void {
  if (count > 0) return;
  throw new NumericalError("invalid-argument", `${caller}: expected moments of at least one row, found none`);
}
