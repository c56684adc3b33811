import { checkCounts, checkLength, countRows } from "./internal/check-shape.js";
import { type FloatArray, zerosLike } from "./internal/float-array.js";
import { pairStrides, type RopeLayout } from "./rope-layout.js";

/**
 * One complex matrix per frequency that mixes heads: `z_out[o] = sum over h of z_in[h] · M[h, o]`.
 *
 * These are all the linear maps between heads that commute with RoPE when the frequencies differ: a rotation multiplies
 * every head's frequency j by the same complex number, and complex numbers commute. Its special case without mixing
 * ({@link diagonalMixing}) turns and scales each pair on its own.
 */
export interface ComplexMixing {
  /** Half the head size. */
  readonly frequencies: number;
  readonly headsIn: number;
  readonly headsOut: number;
  /** `[frequencies, headsIn, headsOut]` */
  readonly real: Float64Array;
  /** `[frequencies, headsIn, headsOut]` */
  readonly imaginary: Float64Array;
}

export declare namespace mixHeads {
  interface Options {
    readonly mixing: ComplexMixing;
    /** Default `"half-split"`. */
    readonly layout?: RopeLayout;
  }
}

/**
 * Mixes heads: `[tokens, headsIn, headDim]` to `[tokens, headsOut, headDim]`, `headDim = 2 · frequencies`.
 * Equals the product with {@link expandMixing} at `1 / headDim` of its multiplications, and commutes with
 * {@link applyRope}.
 *
 * Numerics: accumulates in float64, rounds once on storing.
 *
 * @throws {RopeError} `shape-mismatch` when `x` or the mixing does not have the stated shape.
 *
 * @example
 * ```ts
 * import { mixHeads } from "@kvfold/rope/mixing";
 *
 * // Two heads of one frequency, 1 + 2i and 3 + 4i, into one: times 1 and times i.
 * const real = new Float64Array([1, 0]);
 * const imaginary = new Float64Array([0, 1]);
 * const mixing = { frequencies: 1, headsIn: 2, headsOut: 1, real, imaginary };
 * Array.from(mixHeads(new Float32Array([1, 2, 3, 4]), { mixing })) // => [-3, 5]
 * ```
 */
export function mixHeads<A extends FloatArray>(x: A, { mixing, layout = "half-split" }: mixHeads.Options): A {
  checkMixing("mixHeads", mixing);
  const { frequencies, headsIn, headsOut } = mixing;
  const headDim = 2 * frequencies;
  const tokens = countRows("mixHeads", "x", x.length, headsIn * headDim, "[tokens, headsIn, headDim]");
  const out = zerosLike(x, tokens * headsOut * headDim);
  const { step, gap } = pairStrides(layout, frequencies);
  for (let token = 0; token < tokens; token++) {
    for (let index = 0; index < frequencies; index++) {
      const source = token * headsIn * headDim + index * step;
      const target = token * headsOut * headDim + index * step;
      mixPairs(x, out, { mixing, index, source, target, gap });
    }
  }
  return out;
}

interface PairMix {
  readonly mixing: ComplexMixing;
  readonly index: number;
  readonly source: number;
  readonly target: number;
  readonly gap: number;
}

/** Mixes one frequency of one token. */
function mixPairs(x: FloatArray, out: FloatArray, { mixing, index, source, target, gap }: PairMix): void {
  const { frequencies, headsIn, headsOut, real, imaginary } = mixing;
  const headDim = 2 * frequencies;
  for (let headOut = 0; headOut < headsOut; headOut++) {
    let sumReal = 0;
    let sumImaginary = 0;
    for (let headIn = 0; headIn < headsIn; headIn++) {
      const weight = (index * headsIn + headIn) * headsOut + headOut;
      const a = x[source + headIn * headDim]!;
      const b = x[source + headIn * headDim + gap]!;
      sumReal += a * real[weight]! - b * imaginary[weight]!;
      sumImaginary += a * imaginary[weight]! + b * real[weight]!;
    }
    out[target + headOut * headDim] = sumReal;
    out[target + headOut * headDim + gap] = sumImaginary;
  }
}

/**
 * The same mixing as one real matrix for row vectors, `y = x W`: what folds into a projection's weights.
 *
 * @returns `[headsIn · headDim, headsOut · headDim]` row-major, `headDim = 2 · frequencies`.
 * @throws {RopeError} `shape-mismatch` when the mixing does not have the stated shape.
 *
 * @example
 * ```ts
 * import { expandMixing } from "@kvfold/rope/mixing";
 *
 * const parts = { real: new Float64Array([2]), imaginary: new Float64Array([3]) };
 * Array.from(expandMixing({ frequencies: 1, headsIn: 1, headsOut: 1, ...parts })) // => [2, 3, -3, 2]
 * ```
 */
export function expandMixing(
  mixing: ComplexMixing,
  { layout = "half-split" }: expandMixing.Options = {},
): Float64Array {
  checkMixing("expandMixing", mixing);
  const { frequencies, headsIn, headsOut } = mixing;
  const headDim = 2 * frequencies;
  const columns = headsOut * headDim;
  const matrix = new Float64Array(headsIn * headDim * columns);
  const { step, gap } = pairStrides(layout, frequencies);
  for (let weight = 0; weight < mixing.real.length; weight++) {
    const headOut = weight % headsOut;
    const headIn = Math.floor(weight / headsOut) % headsIn;
    const pair = Math.floor(weight / (headsOut * headsIn)) * step;
    const corner = (headIn * headDim + pair) * columns + headOut * headDim + pair;
    matrix[corner] = mixing.real[weight]!;
    matrix[corner + gap] = mixing.imaginary[weight]!;
    matrix[corner + gap * columns] = -mixing.imaginary[weight]!;
    matrix[corner + gap * columns + gap] = mixing.real[weight]!;
  }
  return matrix;
}

export declare namespace expandMixing {
  interface Options {
    /** Default `"half-split"`. */
    readonly layout?: RopeLayout;
  }
}

/**
 * The adjoint of a mixing, headsOut to headsIn. Scores are `Re sum z_q · conj(z_k)`, so where keys become `z_k · M`,
 * queries `z_q · A` meet them as the original keys meet `z_q · A · adjoint(M)`.
 *
 * @throws {RopeError} `shape-mismatch` when the mixing does not have the stated shape.
 *
 * @example
 * ```ts
 * import { adjointMixing } from "@kvfold/rope/mixing";
 *
 * const parts = { real: new Float64Array([1, 2]), imaginary: new Float64Array([3, 4]) };
 * const adjoint = adjointMixing({ frequencies: 1, headsIn: 1, headsOut: 2, ...parts });
 * [adjoint.headsIn, adjoint.headsOut, Array.from(adjoint.imaginary)] // => [2, 1, [-3, -4]]
 * ```
 */
export function adjointMixing(mixing: ComplexMixing): ComplexMixing {
  checkMixing("adjointMixing", mixing);
  const { frequencies, headsIn, headsOut } = mixing;
  const real = new Float64Array(mixing.real.length);
  const imaginary = new Float64Array(mixing.real.length);
  for (let weight = 0; weight < real.length; weight++) {
    const headOut = weight % headsOut;
    const headIn = Math.floor(weight / headsOut) % headsIn;
    const transposed = weight - (headIn * headsOut + headOut) + headOut * headsIn + headIn;
    real[transposed] = mixing.real[weight]!;
    imaginary[transposed] = -mixing.imaginary[weight]!;
  }
  return { frequencies, headsIn: headsOut, headsOut: headsIn, real, imaginary };
}

export declare namespace diagonalMixing {
  interface Options {
    readonly frequencies: number;
    readonly heads: number;
    /** `[frequencies, heads]` */
    readonly real: Float64Array;
    /** `[frequencies, heads]` */
    readonly imaginary: Float64Array;
  }
}

/**
 * The mixing that multiplies each pair of each head by a complex number of its own: a rotation by its argument and a
 * scaling by its modulus, the only real 2x2 maps of a pair that commute with RoPE.
 *
 * @throws {RopeError} `shape-mismatch` when the parts do not have the stated shape.
 *
 * @example
 * ```ts
 * import { diagonalMixing, expandMixing } from "@kvfold/rope/mixing";
 *
 * const parts = { real: new Float64Array([0]), imaginary: new Float64Array([2]) };
 * Array.from(expandMixing(diagonalMixing({ frequencies: 1, heads: 1, ...parts }))) // => [0, 2, -2, 0]
 * ```
 */
export function diagonalMixing({
  frequencies,
  heads,
  real,
  imaginary,
}: diagonalMixing.Options): ComplexMixing {
  checkCounts("diagonalMixing", { frequencies, heads });
  checkLength("diagonalMixing", "real", real.length, frequencies * heads, "[frequencies, heads]");
  checkLength("diagonalMixing", "imaginary", imaginary.length, real.length, "as real");
  const spread = (values: Float64Array) => {
    const matrices = new Float64Array(values.length * heads);
    values.forEach((value, index) => {
      matrices[index * heads + (index % heads)] = value;
    });
    return matrices;
  };
  return { frequencies, headsIn: heads, headsOut: heads, real: spread(real), imaginary: spread(imaginary) };
}

function checkMixing(
  caller: string,
  { frequencies, headsIn, headsOut, real, imaginary }: ComplexMixing,
): void {
  checkCounts(caller, { frequencies, headsIn, headsOut });
  const shape = "[frequencies, headsIn, headsOut]";
  checkLength(caller, "mixing.real", real.length, frequencies * headsIn * headsOut, shape);
  checkLength(caller, "mixing.imaginary", imaginary.length, real.length, "as real");
}
