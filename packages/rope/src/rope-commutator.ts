import { applyRope } from "./apply-rope.js";
import { checkCounts, checkLength } from "./internal/check-shape.js";
import type { FloatArray } from "./internal/float-array.js";
import { randomPositions } from "./internal/random-positions.js";
import type { RopeLayout } from "./rope-layout.js";
import { ropeTables } from "./rope-tables.js";

export declare namespace measureRopeCommutator {
  interface Options {
    readonly headsIn: number;
    readonly headsOut: number;
    /** Numbers per head, on both sides. */
    readonly headDim: number;
    /** Radians per token, `[rotaryDim / 2]`. */
    readonly inverseFrequencies: Float64Array;
    /** Default `"half-split"`. */
    readonly layout?: RopeLayout;
    /** Positions to try. Default: 8 random ones below 32768, the same at every call. */
    readonly positions?: ArrayLike<number>;
  }
}

/**
 * How far a linear map is from commuting with RoPE: the largest entry of `|R W - W R|` over the tried positions, where
 * row vectors are mapped (`y = x W`) and R rotates all heads to a position.
 * Zero means that mapping and rotating may change places, so the map can be folded into a projection before RoPE.
 *
 * Numerics: float64; a map that commutes exactly measures below 1e-15 times its largest entry.
 *
 * @param matrix `[headsIn · headDim, headsOut · headDim]`, row-major.
 * @throws {RopeError} `shape-mismatch` when `matrix` does not fit; `invalid-argument` for dimensions that do not.
 *
 * @example
 * ```ts
 * import { measureRopeCommutator } from "@kvfold/rope/mixing";
 *
 * const options = { headsIn: 1, headsOut: 1, headDim: 2, inverseFrequencies: new Float64Array([1]) };
 * measureRopeCommutator(new Float64Array([2, 3, -3, 2]), options) // => 0
 * const mirror = new Float64Array([1, 0, 0, -1]);
 * measureRopeCommutator(mirror, { ...options, positions: [Math.PI / 2] }) // => 2
 * ```
 */
export function measureRopeCommutator(matrix: FloatArray, options: measureRopeCommutator.Options): number {
  const {
    headsIn,
    headsOut,
    headDim,
    inverseFrequencies,
    layout,
    positions = randomPositions(8, 32_768),
  } = options;
  checkCounts("measureRopeCommutator", { headsIn, headsOut, headDim });
  const rows = headsIn * headDim;
  const columns = headsOut * headDim;
  checkLength(
    "measureRopeCommutator",
    "matrix",
    matrix.length,
    rows * columns,
    "[headsIn headDim, headsOut headDim]",
  );
  const shared = { headDim, ...(layout === undefined ? {} : { layout }) };
  const rotationAt = (position: number) =>
    ropeTables({ inverseFrequencies, positions: [position], dtype: "float64" });
  const rowMajor = Float64Array.from(matrix);
  const columnMajor = transpose(rowMajor, rows, columns);
  const differences = Array.from(positions, (position) => {
    const rotatedAfter = applyRope(rowMajor, { ...shared, tables: rotationAt(position), heads: headsOut });
    // R W is the transpose of Wᵀ Rᵀ, and Rᵀ rotates back.
    const rotatedBefore = applyRope(columnMajor, {
      ...shared,
      tables: rotationAt(-position),
      heads: headsIn,
    });
    return largestDifference(rotatedAfter, transpose(rotatedBefore, columns, rows));
  });
  return Math.max(0, ...differences);
}

export declare namespace commutesWithRope {
  interface Options extends measureRopeCommutator.Options {
    /** Largest commutator to accept, relative to the largest entry of the matrix. Default 1e-6: float32 weights. */
    readonly tolerance?: number;
  }
}

/**
 * Whether {@link measureRopeCommutator} stays within a tolerance.
 *
 * @throws {RopeError} As {@link measureRopeCommutator}.
 *
 * @example
 * ```ts
 * import { commutesWithRope } from "@kvfold/rope/mixing";
 *
 * const options = { headsIn: 1, headsOut: 1, headDim: 2, inverseFrequencies: new Float64Array([1]) };
 * commutesWithRope(new Float64Array([2, 3, -3, 2]), options) // => true
 * commutesWithRope(new Float64Array([2, 3, 3, 2]), options) // => false
 * ```
 */
export function commutesWithRope(
  matrix: FloatArray,
  { tolerance = 1e-6, ...options }: commutesWithRope.Options,
): boolean {
  const entries = Float64Array.from(matrix);
  const largest = largestDifference(entries, new Float64Array(entries.length));
  return measureRopeCommutator(matrix, options) <= tolerance * largest;
}

function transpose(matrix: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from(
    matrix,
    (_, index) => matrix[(index % rows) * columns + Math.floor(index / rows)]!,
  );
}

function largestDifference(a: Float64Array, b: Float64Array): number {
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - b[index]!)), 0);
}
