import { PolicyError } from "../policy-error.js";
import { requireCounts } from "./head-rows.js";
import { jacobiEigen } from "./jacobi-eigen.js";

/** Whole numbers with a scale for each row: `codes * scale`. */
export interface QuantisedRows {
  /** `[rows, width]`, between `-(2^(bits - 1) - 1)` and its opposite. */
  readonly codes: Int8Array;
  /** `[rows]` */
  readonly scales: Float32Array;
}

/** A matrix as a product of a large factor in few bits and a small one in full precision. */
export interface DecoQuantised extends QuantisedRows {
  /** `[block, block]`, shared by all blocks of neighbouring channels. */
  readonly small: Float32Array;
  readonly block: number;
}

export declare namespace decoQuantise {
  interface Options {
    /** `[rows, width]`: keys or values, a row for each token, heads side by side. */
    readonly data: Float32Array;
    readonly width: number;
    /** 2 to 8. Default 4. */
    readonly bits?: number | undefined;
    /** Neighbouring channels that the small factor mixes; divides `width`. Default 16. */
    readonly block?: number | undefined;
  }
}

/**
 * DecoQuant: splits a matrix `M`, read as `A [rows * width / block, block]`, into `A = L S` and stores only `L` in few bits.
 * With `A = U σ Vᵀ`, `L = U σ^(1/2)` and `S = σ^(1/2) Vᵀ`: directions of large values, the outliers, end up in the small
 * factor, and what is left for `L` is more even, so that its rows lose less by one scale each.
 *
 * Source: Liu et al., "Unlocking Data-free Low-bit Quantization with Matrix Decomposition for KV Cache Compression", arXiv
 * 2405.12591. The paper speaks of matrix product operators; with two cores, its default, its code does this, and this follows
 * the code.
 *
 * Numerics: the decomposition in float64, exact but for rounding to float32; `σ` is floored at `1e-6` of the largest, so
 * directions that the data does not have cost nothing. A zero matrix comes back as zeros. It does not always help: at 2 bits, or
 * without outliers, plain rows may be nearer.
 *
 * @throws {PolicyError} when `block` does not divide `width`, or `width` the data, or when
 * `bits` is not 2 to 8.
 */
export function decoQuantise({ data, width, bits = 4, block = 16 }: decoQuantise.Options): DecoQuantised {
  requireBlocks(data, width, block);
  const { values, vectors } = jacobiEigen(gramOf(data, block), block);
  const singular = values.map((value) => Math.sqrt(Math.max(value, 0)));
  const floor = 1e-6 * singular.reduce((largest, value) => Math.max(largest, value), 0);
  const roots = singular.map((value) => Math.sqrt(Math.max(value, floor)));
  const inverse = vectors.map((value, at) => (roots[at % block]! > 0 ? value / roots[at % block]! : 0));
  const small = Float32Array.from(
    vectors,
    (_, at) => roots[Math.floor(at / block)]! * vectors[(at % block) * block + Math.floor(at / block)]!,
  );
  return { ...quantiseRows({ data: timesSquare(data, inverse, block), width, bits }), small, block };
}

/** `AᵀA` of rows `A [n, block]`. */
function gramOf(rows: Float32Array, block: number): Float64Array {
  const gram = new Float64Array(block * block);
  for (let first = 0; first < rows.length; first += block) {
    for (let i = 0; i < block; i++) {
      for (let j = 0; j < block; j++) gram[i * block + j]! += rows[first + i]! * rows[first + j]!;
    }
  }
  return gram;
}

/** `rows [n, size]` times `square [size, size]`. */
function timesSquare(rows: Float32Array, square: ArrayLike<number>, size: number): Float32Array {
  const products = new Float32Array(rows.length);
  const sums = new Float64Array(size);
  for (let first = 0; first < rows.length; first += size) {
    sums.fill(0);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) sums[j]! += rows[first + i]! * square[i * size + j]!;
    }
    products.set(sums, first);
  }
  return products;
}

/**
 * The matrix that is left, `[rows, width]`.
 *
 * Numerics: float64 products of the float32 factors, rounded once.
 */
export function decoDequantise(quantised: DecoQuantised): Float32Array {
  return timesSquare(dequantiseRows(quantised), quantised.small, quantised.block);
}

/**
 * Plain symmetric quantisation with a scale for each row: `scale = max |row| / (2^(bits - 1) - 1)`.
 *
 * Numerics: to the nearest, within half a scale; a zero row has scale 0.
 *
 * @throws {PolicyError} when `bits` is not 2 to 8.
 */
export function quantiseRows({ data, width, bits = 4 }: Omit<decoQuantise.Options, "block">): QuantisedRows {
  requireBits(bits);
  const levels = 2 ** (bits - 1) - 1;
  const codes = new Int8Array(data.length);
  const scales = new Float32Array(data.length / width);
  for (let row = 0; row < scales.length; row++) {
    const ofRow = data.subarray(row * width, (row + 1) * width);
    const scale = ofRow.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0) / levels;
    scales[row] = scale;
    for (let j = 0; j < width; j++) codes[row * width + j] = scale > 0 ? Math.round(ofRow[j]! / scale) : 0;
  }
  return { codes, scales };
}

/** `codes * scale`, `[rows, width]`. */
export function dequantiseRows({ codes, scales }: QuantisedRows): Float32Array {
  const width = codes.length / scales.length;
  return Float32Array.from(codes, (code, at) => code * scales[Math.floor(at / width)]!);
}

function requireBlocks(data: Float32Array, width: number, block: number): void {
  requireCounts("decoQuantise", { width, block });
  if (width % block === 0 && data.length > 0 && data.length % width === 0) return;
  throw new PolicyError(
    `decoQuantise: expected rows of ${width} channels in blocks of ${block}, found ${data.length} numbers; take a block that divides the width`,
  );
}

function requireBits(bits: number): void {
  if (Number.isInteger(bits) && bits >= 2 && bits <= 8) return;
  throw new PolicyError(`quantiseRows: expected 2 to 8 bits, found ${bits}`);
}
