import fc from "fast-check";
import type { RopeLayout } from "../src/index.js";
import type { ComplexMixing } from "../src/mixing.js";

/** RoPE as the complex product `(a + ib) · e^(i position f)`, one number at a time and in float64. */
export function rotateNaively(
  x: ArrayLike<number>,
  shape: {
    readonly positions: readonly number[];
    readonly heads: number;
    readonly headDim: number;
    readonly inverseFrequencies: Float64Array;
    readonly layout: RopeLayout;
    readonly attentionScaling?: number;
  },
): number[] {
  const { positions, heads, headDim, inverseFrequencies, layout, attentionScaling = 1 } = shape;
  const half = inverseFrequencies.length;
  return Array.from(x, (value, index) => {
    const token = Math.floor(index / (heads * headDim));
    const within = index % headDim;
    if (within >= 2 * half) return value;
    const isReal = layout === "half-split" ? within < half : within % 2 === 0;
    const frequency = layout === "half-split" ? within % half : Math.floor(within / 2);
    const gap = layout === "half-split" ? half : 1;
    const angle = positions[token]! * inverseFrequencies[frequency]!;
    const [cosine, sine] = [attentionScaling * Math.cos(angle), attentionScaling * Math.sin(angle)];
    return isReal ? value * cosine - x[index + gap]! * sine : value * cosine + x[index - gap]! * sine;
  });
}

/** `[rows, inner]` times `[inner, columns]`. */
export function multiply(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  inner: number,
  columns: number,
): Float64Array {
  const rows = a.length / inner;
  const product = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let k = 0; k < inner; k++)
        product[row * columns + column]! += a[row * inner + k]! * b[k * columns + column]!;
    }
  }
  return product;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, index) => sum + value * b[index]!, 0);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((largest, value, index) => Math.max(largest, Math.abs(value - b[index]!)), 0);
}

/** `length` numbers in [-1, 1). */
export function numbers(length: number): fc.Arbitrary<Float64Array> {
  const one = fc.double({ min: -1, max: 1, noNaN: true });
  return fc.array(one, { minLength: length, maxLength: length }).map((values) => Float64Array.from(values));
}

export const layouts: fc.Arbitrary<RopeLayout> = fc.constantFrom("half-split", "interleaved");

export const positions: fc.Arbitrary<number> = fc.integer({ min: 0, max: 100_000 });

/** The unscaled frequencies of `theta` 10000. */
export function standardFrequencies(rotaryDim: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, index) => 10_000 ** ((-2 * index) / rotaryDim));
}

export function mixings(frequencies: number, headsIn: number, headsOut: number): fc.Arbitrary<ComplexMixing> {
  const size = frequencies * headsIn * headsOut;
  return fc
    .tuple(numbers(size), numbers(size))
    .map(([real, imaginary]) => ({ frequencies, headsIn, headsOut, real, imaginary }));
}
