import { createMatrix, type Matrix, symmetricEigen } from "@kvfold/linalg";

/** A complex number per head: how heads are mixed into one number within a frequency, and read back from it. */
export interface ComplexCode {
  /** `[s]` each: `w = sum_h z_h e_h`. */
  readonly encodeReal: Float64Array;
  readonly encodeImaginary: Float64Array;
  /** `[s]` each: `z_h = w f_h`. */
  readonly decodeReal: Float64Array;
  readonly decodeImaginary: Float64Array;
  /** Metric-weighted energy that this code carries. */
  readonly energy: number;
  /** The same summed over all codes of all frequencies of the group. */
  readonly totalEnergy: number;
}

/**
 * For each frequency of a group of heads, all codes of `z_h,j = k[h,j] + i k[h,j+d/2]`, strongest first: eigenvectors
 * of the Hermitian `R E[z* z] R` with `R` the root of the weights (docs/method.md, commuting).
 *
 * Numerics: float64; a head whose weight is zero counts with a millionth of the largest.
 */
export function frequencyCodes(
  moment: Matrix,
  weights: readonly Float64Array[],
  headDim: number,
): readonly (readonly ComplexCode[])[] {
  const codes = Array.from({ length: headDim / 2 }, (_, frequency) =>
    codesOf(moment, weights, headDim, frequency),
  );
  const energies = codes.flat().map(({ energy }) => energy);
  const totalEnergy = energies.reduce((total, energy) => total + energy, 0);
  const least = LEAST_ENERGY * Math.max(...energies);
  return codes.map((list) => list.map((code) => ({ ...toUnitVariance(code, least), totalEnergy })));
}

/** Energy below this share of the largest may be rounding alone. */
const LEAST_ENERGY = 1e-9;

/** The code whose stored number has parts of unit variance, or a unit `encode` where it has next to none. */
function toUnitVariance(code: ComplexCode, least: number): ComplexCode {
  const { encodeReal, encodeImaginary, decodeReal, decodeImaginary, energy } = code;
  const scale = energy > least ? Math.sqrt(energy / 2) : Math.hypot(...encodeReal, ...encodeImaginary);
  return {
    ...code,
    encodeReal: encodeReal.map((part) => part / scale),
    encodeImaginary: encodeImaginary.map((part) => part / scale),
    decodeReal: decodeReal.map((part) => part * scale),
    decodeImaginary: decodeImaginary.map((part) => part * scale),
  };
}

function codesOf(moment: Matrix, weights: readonly Float64Array[], headDim: number, frequency: number) {
  const roots = rootWeights(weights.map((head) => head[frequency]!));
  const { real, imaginary } = hermitianMoment(moment, headDim, frequency);
  const heads = roots.length;
  const scaled = (matrix: Float64Array) =>
    matrix.map((value, index) => value * roots[Math.floor(index / heads)]! * roots[index % heads]!);
  return hermitianEigenvectors(scaled(real), scaled(imaginary), heads).map(({ x, y, value }) => ({
    encodeReal: x.map((part, head) => part * roots[head]!),
    encodeImaginary: y.map((part, head) => part * roots[head]!),
    decodeReal: x.map((part, head) => part / roots[head]!),
    decodeImaginary: y.map((part, head) => -part / roots[head]!),
    energy: Math.max(0, value),
    totalEnergy: 0,
  }));
}

/** Roots of the heads' weights, floored as a metric's eigenvalues are; where no head is read, all count alike. */
function rootWeights(weights: readonly number[]): readonly number[] {
  const largest = Math.max(...weights);
  return weights.map((weight) => (largest > 0 ? Math.sqrt(Math.max(weight, 1e-6 * largest)) : 1));
}

/** `E[conj(z_h) z_g] [s, s]` out of the real moment: `Re = aa + bb`, `Im = ab - ba`. */
function hermitianMoment(moment: Matrix, headDim: number, frequency: number) {
  const heads = moment.rows / headDim;
  const real = new Float64Array(heads * heads);
  const imaginary = new Float64Array(heads * heads);
  for (let h = 0; h < heads; h++) {
    for (let g = 0; g < heads; g++) {
      const at = (row: number, col: number) =>
        moment.data[
          (h * headDim + frequency + (row * headDim) / 2) * moment.cols +
            g * headDim +
            frequency +
            (col * headDim) / 2
        ]!;
      real[h * heads + g] = at(0, 0) + at(1, 1);
      imaginary[h * heads + g] = at(0, 1) - at(1, 0);
    }
  }
  return { real, imaginary };
}

interface HermitianPair {
  readonly value: number;
  /** The eigenvector `x + iy`. */
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/**
 * Eigenvectors of a Hermitian matrix through the real symmetric `[[Re, -Im], [Im, Re]]` of twice the size, where each
 * comes twice, as `v` and `iv`: of every two, the one that adds nothing to those before it is left out.
 */
function hermitianEigenvectors(
  real: Float64Array,
  imaginary: Float64Array,
  size: number,
): readonly HermitianPair[] {
  const doubled = createMatrix(2 * size, 2 * size);
  for (let h = 0; h < size; h++) {
    for (let g = 0; g < size; g++) {
      const [re, im] = [real[h * size + g]!, imaginary[h * size + g]!];
      doubled.data[h * 2 * size + g] = re;
      doubled.data[h * 2 * size + size + g] = -im;
      doubled.data[(size + h) * 2 * size + g] = im;
      doubled.data[(size + h) * 2 * size + size + g] = re;
    }
  }
  const { values, vectors } = symmetricEigen(doubled);
  const found: HermitianPair[] = [];
  for (let col = 0; col < 2 * size && found.length < size; col++) {
    const column = Float64Array.from({ length: 2 * size }, (_, row) => vectors.data[row * 2 * size + col]!);
    const candidate = orthogonalise(
      { value: values[col]!, x: column.slice(0, size), y: column.slice(size) },
      found,
    );
    if (candidate !== undefined) found.push(candidate);
  }
  return found;
}

/** What `candidate` adds to `found`, at unit length; `undefined` when that is less than half of it. */
function orthogonalise(candidate: HermitianPair, found: readonly HermitianPair[]): HermitianPair | undefined {
  let { x, y } = candidate;
  for (const other of found) {
    let [re, im] = [0, 0];
    for (let h = 0; h < x.length; h++) {
      re += other.x[h]! * x[h]! + other.y[h]! * y[h]!;
      im += other.x[h]! * y[h]! - other.y[h]! * x[h]!;
    }
    const [ax, ay] = [x, y];
    x = ax.map((part, h) => part - (re * other.x[h]! - im * other.y[h]!));
    y = ay.map((part, h) => part - (re * other.y[h]! + im * other.x[h]!));
  }
  const norm = Math.sqrt(x.reduce((total, part, h) => total + part * part + y[h]! * y[h]!, 0));
  if (norm < 0.5) return undefined;
  return { value: candidate.value, x: x.map((part) => part / norm), y: y.map((part) => part / norm) };
}
