import { checkCounts, checkLength, checkRotaryDim, countRows } from "./internal/check-shape.js";
import { type FloatArray, zerosLike } from "./internal/float-array.js";
import { pairStrides, type RopeLayout } from "./rope-layout.js";

/**
 * Heads as complex numbers, one per frequency: `z = a + ib` for the pair `(a, b)` that turns together.
 * At position p, RoPE multiplies all of frequency j by `e^(i p f_j)`.
 */
export interface ComplexFrequencies<A extends FloatArray = FloatArray> {
  /** Half the head size. */
  readonly frequencies: number;
  readonly tokens: number;
  readonly heads: number;
  /** `[frequencies, tokens, heads]` */
  readonly real: A;
  /** `[frequencies, tokens, heads]` */
  readonly imaginary: A;
}

export declare namespace splitComplexFrequencies {
  interface Options {
    readonly heads: number;
    /** Numbers per head, all of them rotated. */
    readonly headDim: number;
    /** Default `"half-split"`. */
    readonly layout?: RopeLayout;
  }
}

/**
 * Copies `x`, `[tokens, heads, headDim]`, into complex numbers with the frequency as the outermost axis, so that each
 * frequency is a contiguous `[tokens, heads]` matrix.
 *
 * @throws {RopeError} `shape-mismatch` when `x` does not fit.
 *
 * @example
 * ```ts
 * import { splitComplexFrequencies } from "@kvfold/rope/mixing";
 *
 * const z = splitComplexFrequencies(new Float32Array([1, 2, 10, 20]), { heads: 1, headDim: 4 });
 * [Array.from(z.real), Array.from(z.imaginary)] // => [[1, 2], [10, 20]]
 * ```
 */
export function splitComplexFrequencies<A extends FloatArray>(
  x: A,
  { heads, headDim, layout = "half-split" }: splitComplexFrequencies.Options,
): ComplexFrequencies<A> {
  checkCounts("splitComplexFrequencies", { heads });
  checkRotaryDim("splitComplexFrequencies", headDim, headDim);
  const frequencies = headDim / 2;
  const { step, gap } = pairStrides(layout, frequencies);
  const rows =
    countRows("splitComplexFrequencies", "x", x.length, heads * headDim, "[tokens, heads, headDim]") * heads;
  const real = zerosLike(x, frequencies * rows);
  const imaginary = zerosLike(x, frequencies * rows);
  for (let row = 0; row < rows; row++) {
    for (let index = 0; index < frequencies; index++) {
      real[index * rows + row] = x[row * headDim + index * step]!;
      imaginary[index * rows + row] = x[row * headDim + index * step + gap]!;
    }
  }
  return { frequencies, tokens: rows / heads, heads, real, imaginary };
}

export declare namespace joinComplexFrequencies {
  interface Options {
    /** Default `"half-split"`. */
    readonly layout?: RopeLayout;
  }
}

/**
 * The inverse of {@link splitComplexFrequencies}.
 *
 * @returns `[tokens, heads, headDim]` with `headDim = 2 · frequencies`.
 * @throws {RopeError} `shape-mismatch` when the parts do not have the stated shape.
 *
 * @example
 * ```ts
 * import { joinComplexFrequencies } from "@kvfold/rope/mixing";
 *
 * const parts = { real: new Float32Array([1, 2]), imaginary: new Float32Array([10, 20]) };
 * Array.from(joinComplexFrequencies({ frequencies: 2, tokens: 1, heads: 1, ...parts })) // => [1, 2, 10, 20]
 * ```
 */
export function joinComplexFrequencies<A extends FloatArray>(
  { frequencies, tokens, heads, real, imaginary }: ComplexFrequencies<A>,
  { layout = "half-split" }: joinComplexFrequencies.Options = {},
): A {
  const rows = tokens * heads;
  checkLength(
    "joinComplexFrequencies",
    "real",
    real.length,
    frequencies * rows,
    "[frequencies, tokens, heads]",
  );
  checkLength("joinComplexFrequencies", "imaginary", imaginary.length, real.length, "as real");
  const { step, gap } = pairStrides(layout, frequencies);
  const x = zerosLike(real, 2 * real.length);
  for (let row = 0; row < rows; row++) {
    for (let index = 0; index < frequencies; index++) {
      const first = row * 2 * frequencies + index * step;
      x[first] = real[index * rows + row]!;
      x[first + gap] = imaginary[index * rows + row]!;
    }
  }
  return x;
}
