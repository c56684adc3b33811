import { createMatrix, fromFloat32, type Matrix, symmetricEigen, toFloat32, transpose } from "@kvfold/linalg";
import { PolicyError } from "../policy-error.js";
import { requireCounts } from "./head-rows.js";
import { multiplyRows, sumRows } from "./narrow-products.js";

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
  const { toLarge, small } = factorise(data, block);
  const large = new Float32Array(data.length);
  multiplyRows(large, data, toLarge);
  return { ...quantiseRows({ data: large, width, bits }), small, block };
}

/** What makes the large factor of the data, `[block, block]`, and the small factor. */
function factorise(
  data: Float32Array,
  block: number,
): { readonly toLarge: Matrix; readonly small: Float32Array } {
  const { values, vectors } = symmetricEigen(sumRows(data, block).gram);
  const singular = values.map((value) => Math.sqrt(Math.max(value, 0)));
  const roots = singular.map((value) => Math.sqrt(Math.max(value, 1e-6 * singular[0]!)));
  const inverses = roots.map((root) => (root > 0 ? 1 / root : 0));
  return {
    toLarge: scaleColumns(vectors, inverses),
    small: toFloat32(transpose(scaleColumns(vectors, roots))),
  };
}

/** Rows that are rounded at once, few enough to stay in the cache of the CPU. */
const RUN = 256;

/**
 * The matrix that {@link decoQuantise} and {@link decoDequantise} leave, number by number, a few rows at a time: no factor is ever
 * in memory as a whole.
 *
 * @throws As {@link decoQuantise}.
 */
export function decoRound({ data, width, bits = 4, block = 16 }: decoQuantise.Options): Float32Array {
  requireBlocks(data, width, block);
  const { toLarge, small } = factorise(data, block);
  const rounded = new Float32Array(data.length);
  const large = new Float32Array(Math.min(RUN * width, data.length));
  for (let start = 0; start < data.length; start += large.length) {
    const rows = data.subarray(start, start + large.length);
    const ofRows = large.subarray(0, rows.length);
    multiplyRows(ofRows, rows, toLarge);
    const quantised = { ...quantiseRows({ data: ofRows, width, bits }), small, block };
    dequantiseInto(rounded.subarray(start, start + rows.length), quantised);
  }
  return rounded;
}

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
 * Numerics: float64 sums of codes times the small factor, rounded to float32 before and after they are multiplied by the scales.
 */
export function decoDequantise(quantised: DecoQuantised): Float32Array {
  const data = new Float32Array(quantised.codes.length);
  dequantiseInto(data, quantised);
  return data;
}

function dequantiseInto(target: Float32Array, { codes, scales, small, block }: DecoQuantised): void {
  multiplyRows(target, codes, fromFloat32(block, block, small));
  scaleRows(target, scales);
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
    const start = row * width;
    const scale = peakOf(data, start, start + width) / levels;
    scales[row] = scale;
    if (scale > 0) roundInto(codes, data, { start, end: start + width, scale });
  }
  return { codes, scales };
}

/** The largest size of the numbers `[start, end)`. Comparisons, which V8 makes in a third of the time of `Math.max`. */
function peakOf(data: Float32Array, start: number, end: number): number {
  let peak = 0;
  for (let at = start; at < end; at++) {
    const size = Math.abs(data[at]!);
    if (size > peak) peak = size;
  }
  return peak;
}

function roundInto(
  codes: Int8Array,
  data: Float32Array,
  { start, end, scale }: { readonly start: number; readonly end: number; readonly scale: number },
): void {
  for (let at = start; at < end; at++) codes[at] = Math.floor(data[at]! / scale + 0.5);
}

/** `codes * scale`, `[rows, width]`. */
export function dequantiseRows({ codes, scales }: QuantisedRows): Float32Array {
  const data = Float32Array.from(codes);
  scaleRows(data, scales);
  return data;
}

/** Multiplies each row by its scale. */
function scaleRows(rows: Float32Array, scales: Float32Array): void {
  const width = rows.length / scales.length;
  for (let row = 0, at = 0; row < scales.length; row++) {
    const scale = scales[row]!;
    for (const end = at + width; at < end; at++) rows[at]! *= scale;
  }
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
