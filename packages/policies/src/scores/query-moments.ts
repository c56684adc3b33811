import { applyRope, type RopeLayout, type RopeTables } from "@kvfold/rope";
import { PolicyError } from "../policy-error.js";
import { type HeadRows, requireHeadRows, rowsOfHead } from "./head-rows.js";

/** Mean and covariance of the queries of each head of a layer. */
export interface QueryMoments {
  /** `[H, d]` */
  readonly mean: Float64Array;
  /** `[H, d, d]`, symmetric; divided by the number of queries. */
  readonly covariance: Float64Array;
  readonly heads: number;
  readonly width: number;
}

/**
 * The moments of given queries, such as those of a prompt before their rotation.
 *
 * Numerics: two passes in float64.
 *
 * @param queries - `[H, n, d]`.
 * @param skip - First queries to leave out: those of sinks are unlike all others. Default 4.
 * @throws {PolicyError} when `queries.data` has another length, or when nothing is left.
 */
export function queryMoments(queries: HeadRows, skip = 4): QueryMoments {
  requireHeadRows("queryMoments", "queries", queries);
  const { heads, rows, width } = queries;
  if (!(skip >= 0 && skip < rows)) {
    throw new PolicyError(`queryMoments: expected more queries than the ${skip} skipped ones, found ${rows}`);
  }
  const mean = new Float64Array(heads * width);
  const covariance = new Float64Array(heads * width * width);
  for (let head = 0; head < heads; head++) {
    const ofHead = rowsOfHead(queries, head).subarray(skip * width);
    const meanOfHead = mean.subarray(head * width, (head + 1) * width);
    addMean(meanOfHead, ofHead);
    covariance.set(covarianceOf(ofHead, meanOfHead), head * width * width);
  }
  return { mean, covariance, heads, width };
}

function addMean(mean: Float64Array, rows: Float32Array): void {
  for (let start = 0; start < rows.length; start += mean.length)
    for (let j = 0; j < mean.length; j++) mean[j]! += rows[start + j]!;
  const count = rows.length / mean.length;
  for (let j = 0; j < mean.length; j++) mean[j]! /= count;
}

/** From centred rows: sums of uncentred ones lose digits where means are large. */
function covarianceOf(rows: Float32Array, mean: Float64Array): Float64Array {
  const width = mean.length;
  const count = rows.length / width;
  const stride = width + (width % 2);
  const sums = new Float64Array(stride * stride);
  const block = new Float64Array(ROWS * stride);
  for (let first = 0; first < count; first += ROWS) {
    centreRows(block, stride, rows.subarray(first * width, (first + ROWS) * width), mean);
    addProducts(sums, block, stride);
  }
  const covariance = new Float64Array(width * width);
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++)
      covariance[i * width + j] = covariance[j * width + i] = sums[i * stride + j]! / count;
  return covariance;
}

/** Rows that are taken at once: each sum is read and written once for all of them. */
const ROWS = 4;

/** Rows less their mean, `stride` numbers apart; zeros where there are fewer than fit. */
function centreRows(block: Float64Array, stride: number, rows: Float32Array, mean: Float64Array): void {
  const width = mean.length;
  block.fill(0);
  for (let start = 0, target = 0; start < rows.length; start += width, target += stride)
    for (let j = 0; j < width; j++) block[target + j] = rows[start + j]! - mean[j]!;
}

/**
 * Adds the lower triangle of `blockᵀ block`, of four rows and an even number of columns. Two rows of sums are added to at a time:
 * each number of the block is read once for both, and no sum waits for another.
 */
function addProducts(sums: Float64Array, block: Float64Array, width: number): void {
  // An integer, and numbers one by one: V8 takes twice as long with quotients, and with numbers that are taken out of an array.
  const stride = width | 0;
  const second = stride;
  const third = 2 * stride;
  const fourth = 3 * stride;
  for (let i = 0; i < stride; i += 2) {
    const odd = i + 1;
    const a = block[i]!;
    const b = block[second + i]!;
    const c = block[third + i]!;
    const d = block[fourth + i]!;
    const e = block[odd]!;
    const f = block[second + odd]!;
    const g = block[third + odd]!;
    const h = block[fourth + odd]!;
    for (let j = 0, at = i * stride; j <= odd; j++, at++) {
      const p = block[j]!;
      const q = block[second + j]!;
      const r = block[third + j]!;
      const s = block[fourth + j]!;
      sums[at]! += a * p + b * q + c * r + d * s;
      sums[at + stride]! += e * p + f * q + g * r + h * s;
    }
  }
}

/**
 * The moments of queries to come: those of queries before the rotation, turned by the mean rotation `R̄` over the positions
 * of `tables`: `R̄ μ` and `R̄ Σ R̄ᵀ`.
 *
 * Source: Expected Attention, arXiv 2510.00636, and kvpress, which use the next 512 positions. The exact covariance of turned
 * queries would be the mean of `R Σ Rᵀ` and the spread of `R μ`; `R̄ Σ R̄ᵀ` is what is published, and smaller.
 *
 * Numerics: float64.
 *
 * @param moments - Before the rotation.
 * @param tables - One row for each position to come: `ropeTables({ inverseFrequencies, positions })` of `@kvfold/rope`.
 * @param layout - How the model's heads store pairs. Default `"half-split"`.
 * @throws {RopeError} `invalid-argument` when the tables are wider than half a head.
 */
export function turnMoments(
  moments: QueryMoments,
  tables: RopeTables<Float32Array | Float64Array>,
  layout: RopeLayout = "half-split",
): QueryMoments {
  const turn = { tables: meanRow(tables), heads: 1, headDim: moments.width, layout };
  const half = applyRope(moments.covariance, turn);
  transposeHeads(half, moments.width);
  return {
    ...moments,
    mean: applyRope(moments.mean, turn),
    covariance: applyRope(half, { ...turn, out: half }),
  };
}

/** Tables of one row, the mean of all: `applyRope` with them multiplies by the mean rotation. */
function meanRow({
  cos,
  sin,
  length,
  width,
}: RopeTables<Float32Array | Float64Array>): RopeTables<Float64Array> {
  const mean = (table: Float32Array | Float64Array) => {
    const row = new Float64Array(width);
    for (let at = 0; at < table.length; at++) row[at % width]! += table[at]! / length;
    return row;
  };
  return { cos: mean(cos), sin: mean(sin), length: 1, width };
}

/** Transposes every `[width, width]` block in place. */
function transposeHeads(blocks: Float64Array, width: number): void {
  for (let first = 0; first < blocks.length; first += width * width) {
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [first + i * width + j, first + j * width + i];
        [blocks[a], blocks[b]] = [blocks[b]!, blocks[a]!];
      }
    }
  }
}
