import {
  createMatrix,
  fromFloat32,
  type Matrix,
  multiply,
  symmetricEigen,
  toFloat32,
  transpose,
  transposeMultiply,
} from "@kvfold/linalg";
import { PolicyError } from "../policy-error.js";
import { requireCounts } from "./head-rows.js";

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
 * @throws {NumericalError} `not-finite` for NaN or infinity in the data.
 */
export function decoQuantise({ data, width, bits = 4, block = 16 }: decoQuantise.Options): DecoQuantised {
  requireBlocks(data, width, block);
  const rows = rowsOf(data, block);
  const { values, vectors } = symmetricEigen(transposeMultiply(rows, rows));
  const singular = values.map((value) => Math.sqrt(Math.max(value, 0)));
  const roots = singular.map((value) => Math.sqrt(Math.max(value, 1e-6 * singular[0]!)));
  const inverses = roots.map((root) => (root > 0 ? 1 / root : 0));
  const large = toFloat32(multiply(rows, scaleColumns(vectors, inverses)));
  const small = toFloat32(transpose(scaleColumns(vectors, roots)));
  return { ...quantiseRows({ data: large, width, bits }), small, block };
}

/** Numbers in rows of `width`. */
const rowsOf = (data: Float32Array, width: number): Matrix => fromFloat32(data.length / width, width, data);

/** `matrix diag(factors)` */
const scaleColumns = ({ rows, cols, data }: Matrix, factors: Float64Array): Matrix =>
  createMatrix(
    rows,
    cols,
    data.map((value, at) => value * factors[at % cols]!),
  );

/**
 * The matrix that is left, `[rows, width]`.
 *
 * Numerics: float64 products of the float32 factors, rounded once.
 */
export function decoDequantise(quantised: DecoQuantised): Float32Array {
  const { small, block } = quantised;
  return toFloat32(multiply(rowsOf(dequantiseRows(quantised), block), rowsOf(small, block)));
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
    let peak = 0;
    for (let j = 0; j < width; j++) peak = Math.max(peak, Math.abs(ofRow[j]!));
    const scale = peak / levels;
    scales[row] = scale;
    for (let j = 0; j < width; j++) codes[row * width + j] = scale > 0 ? Math.round(ofRow[j]! / scale) : 0;
  }
  return { codes, scales };
}

/** `codes * scale`, `[rows, width]`. */
export function dequantiseRows({ codes, scales }: QuantisedRows): Float32Array {
  const width = codes.length / scales.length;
  const data = new Float32Array(codes.length);
  for (let row = 0, at = 0; row < scales.length; row++)
    for (let j = 0; j < width; j++, at++) data[at] = codes[at]! * scales[row]!;
  return data;
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
