import { checkCounts } from "./internal/check-shape.js";
import { RopeError } from "./rope-error.js";

/** Complex numbers, the real and the imaginary parts apart. */
export interface ComplexArray {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

/** Means over all positions of the turns `e^(i φ_j)` of the pairs of a head, and of their products. */
export interface MeanTurns {
  /** Pairs of a head that turn. */
  readonly pairs: number;
  /** `[pairs]`: mean of `e^(i φ_j)`. */
  readonly single: ComplexArray;
  /** `[pairs, pairs]`: mean of `e^(i (φ_j - φ_k))`. */
  readonly difference: ComplexArray;
  /** `[pairs, pairs]`: mean of `e^(i (φ_j + φ_k))`. */
  readonly sum: ComplexArray;
}

export declare namespace meanTurns {
  interface Options {
    /** Radians per token, `[pairs]`. */
    readonly frequencies: ArrayLike<number>;
    /** `[pairs]`: the positions after which a pair starts again; of any two, one divides the other. */
    readonly chunks: readonly number[];
  }
}

/**
 * The mean turns of pairs whose angle at position `n` is `φ_j = frequency_j (n mod chunk_j)`, over all `n`. They say what
 * rotations do to the second moments of vectors that do not depend on the position themselves: with pairs as complex
 * numbers, `E[z_j z_k*]` is multiplied by `difference[j, k]`, `E[z_j z_k]` by `sum[j, k]` and `E[z_j]` by `single[j]`.
 *
 * In closed form: with `D(x, N) = (1 / N) Σ_{n < N} e^(i x n)`, the Dirichlet kernel, and `chunk_j` dividing `chunk_k`,
 * the mean of `e^(i (φ_j ± φ_k))` is `D(f_j ± f_k, chunk_j) D(± chunk_j f_k, chunk_k / chunk_j)`.
 *
 * Numerics: float64; within 1e-12 of the sum itself.
 *
 * @throws {RopeError} `shape-mismatch` when there is not one chunk for each frequency, `invalid-argument` when of two chunks
 * neither divides the other.
 *
 * @example
 * ```ts
 * import { meanTurns } from "@kvfold/rope";
 *
 * const { single } = meanTurns({ frequencies: [Math.PI / 2], chunks: [2] });
 * [single.real[0], single.imaginary[0]] // => [0.5, 0.5]
 * ```
 */
export function meanTurns({ frequencies, chunks }: meanTurns.Options): MeanTurns {
  requireChunks(frequencies.length, chunks);
  const pairs = chunks.length;
  const [single, difference, sum] = [pairs, pairs ** 2, pairs ** 2].map(zeros);
  for (let j = 0; j < pairs; j++) {
    set(single!, j, dirichlet(frequencies[j]!, chunks[j]!));
    for (let k = 0; k < pairs; k++) {
      const [first, second] = [angle(frequencies, chunks, j), angle(frequencies, chunks, k)];
      set(difference!, j * pairs + k, meanProduct(first, { ...second, frequency: -second.frequency }));
      set(sum!, j * pairs + k, meanProduct(first, second));
    }
  }
  return { pairs, single: single!, difference: difference!, sum: sum! };
}

/** `φ = frequency (n mod chunk)`. */
interface Angle {
  readonly frequency: number;
  readonly chunk: number;
}

type Complex = readonly [real: number, imaginary: number];

const angle = (frequencies: ArrayLike<number>, chunks: readonly number[], index: number): Angle => ({
  frequency: frequencies[index]!,
  chunk: chunks[index]!,
});

/** The mean of `e^(i (φ + φ'))` over all positions. */
function meanProduct(a: Angle, b: Angle): Complex {
  const [short, long] = a.chunk <= b.chunk ? [a, b] : [b, a];
  const within = dirichlet(short.frequency + long.frequency, short.chunk);
  const between = dirichlet(short.chunk * long.frequency, long.chunk / short.chunk);
  return [within[0] * between[0] - within[1] * between[1], within[0] * between[1] + within[1] * between[0]];
}

/** `(1 / count) Σ_{n < count} e^(i x n) = e^(i x (count - 1) / 2) sin(count x / 2) / (count sin(x / 2))`. */
function dirichlet(x: number, count: number): Complex {
  const half = Math.sin(x / 2);
  // A whole number of turns: every term is 1, up to what rounding makes of the angle.
  if (Math.abs(half) < 1e-12) return [1, 0];
  const size = Math.sin((count * x) / 2) / (count * half);
  const phase = (x * (count - 1)) / 2;
  return [size * Math.cos(phase), size * Math.sin(phase)];
}

function requireChunks(pairs: number, chunks: readonly number[]): void {
  if (chunks.length !== pairs) {
    throw new RopeError(
      "shape-mismatch",
      `meanTurns: expected a chunk for each of ${pairs} frequencies, found ${chunks.length}`,
    );
  }
  for (const chunk of chunks) checkCounts("meanTurns", { chunk });
  const sizes = [...new Set(chunks)].sort((a, b) => a - b);
  for (const [index, size] of sizes.slice(1).entries()) {
    if (size % sizes[index]! === 0) continue;
    throw new RopeError(
      "invalid-argument",
      `meanTurns: expected chunks that divide each other, found ${sizes[index]} and ${size}`,
    );
  }
}

const zeros = (length: number): ComplexArray => ({
  real: new Float64Array(length),
  imaginary: new Float64Array(length),
});

function set({ real, imaginary }: ComplexArray, index: number, value: Complex): void {
  real[index] = value[0];
  imaginary[index] = value[1];
}
