import { checkCounts } from "./internal/check-shape.js";
import type { FloatArray } from "./internal/float-array.js";
import { RopeError } from "./rope-error.js";

/** Arrays by the name of their element type. */
export interface RopeTableArrays {
  readonly float32: Float32Array;
  readonly float64: Float64Array;
}

/** Element type of a table. */
export type RopeTableDtype = keyof RopeTableArrays;

/** Cosines and sines by position, rows of `width` numbers. */
export interface RopeTables<A extends FloatArray = Float32Array> {
  /** `[length, width]`, multiplied by the attention scaling. */
  readonly cos: A;
  /** `[length, width]`, multiplied by the attention scaling. */
  readonly sin: A;
  /** Number of positions. */
  readonly length: number;
  /** Number of frequencies, `rotaryDim / 2`. */
  readonly width: number;
}

/** Either the positions of the rows, or how many rows to make for the positions from 0 on. */
type Rows =
  | { readonly positions: ArrayLike<number>; readonly length?: undefined }
  | { readonly length: number; readonly positions?: undefined };

export declare namespace ropeTables {
  type Options<D extends RopeTableDtype = "float32"> = Rows & {
    /** Radians per token, `[width]`. */
    readonly inverseFrequencies: Float64Array;
    /** What cos and sin are multiplied by. Default 1. */
    readonly attentionScaling?: number;
    /** Element type of the tables. Default `"float32"`, which is what runtimes take. */
    readonly dtype?: D;
  };
}

/**
 * The cosines and sines that {@link applyRope} and ONNX Runtime's RotaryEmbedding take.
 *
 * Numerics: angles and functions in float64, rounded once on storing: within 6e-8 times the scaling at any position.
 * Hugging Face forms frequencies and angles in float32. With theta 10000 and 32 frequencies its tables therefore differ
 * from these by up to 1.5e-4 below position 4096 and 5e-3 below 131072. To reproduce a model that was exported with
 * such tables to the last digit, keep its tables.
 *
 * @returns `cos` and `sin`, `[length, width]` each.
 * @throws {RopeError} `invalid-argument` when `length` is not a number of positions.
 *
 * @example
 * ```ts
 * import { ropeTables } from "@kvfold/rope";
 *
 * const tables = ropeTables({ inverseFrequencies: new Float64Array([Math.PI, Math.PI / 2]), length: 2 });
 * [tables.length, tables.width] // => [2, 2]
 * Array.from(tables.cos) // => [1, 1, -1, 0]
 * Array.from(tables.sin) // => [0, 0, 0, 1]
 * ```
 */
export function ropeTables<D extends RopeTableDtype = "float32">(
  options: ropeTables.Options<D>,
): RopeTables<RopeTableArrays[D]> {
  const { inverseFrequencies, attentionScaling = 1, dtype } = options;
  const positions = options.positions ?? firstPositions(options.length);
  const tables = emptyTables<D>(positions.length, inverseFrequencies.length, dtype);
  fillTables(tables, attentionScaling, (row, index) => positions[row]! * inverseFrequencies[index]!);
  return tables;
}

function firstPositions(length: number): Float64Array {
  checkCounts("ropeTables", { length }, 0);
  return Float64Array.from({ length }, (_, position) => position);
}

/** Tables of zeros, in float32 unless `dtype` says otherwise. */
export function emptyTables<D extends RopeTableDtype>(
  length: number,
  width: number,
  dtype: RopeTableDtype = "float32",
): RopeTables<RopeTableArrays[D]> {
  const ArrayType = dtype === "float64" ? Float64Array : Float32Array;
  const cos = new ArrayType(length * width) as RopeTableArrays[D];
  const sin = new ArrayType(length * width) as RopeTableArrays[D];
  return { cos, sin, length, width };
}

/** Fills `tables` with `scaling` times the cosine and sine of `angleAt`, in radians. */
export function fillTables(
  { cos, sin, length, width }: RopeTables<FloatArray>,
  scaling: number,
  angleAt: (row: number, index: number) => number,
): void {
  if (!Number.isFinite(scaling)) {
    throw new RopeError(
      "invalid-argument",
      `expected attentionScaling to be a finite number, found ${scaling}`,
    );
  }
  for (let row = 0; row < length; row++) {
    for (let index = 0; index < width; index++) {
      const angle = angleAt(row, index);
      cos[row * width + index] = scaling * Math.cos(angle);
      sin[row * width + index] = scaling * Math.sin(angle);
    }
  }
}
