import { applyRope, type RopeLayout, type RopeTables } from "@kvfold/rope";
import { PolicyError } from "../policy-error.js";
import { type HeadRows, requireHeadRows, rowsOfHead } from "./head-rows.js";
import { sumRows } from "./narrow-products.js";

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
 * Numerics: sums of products in float64, less those of the mean. What cancels there costs fewer digits than float32 queries have lost
 * by their rounding, as long as means are less than `2^28` of the deviations.
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
    const { sums, gram } = sumRows(rowsOfHead(queries, head).subarray(skip * width), width);
    const count = rows - skip;
    const ofHead = sums.map((sum) => sum / count);
    mean.set(ofHead, head * width);
    for (let i = 0, at = 0; i < width; i++)
      for (let j = 0; j < width; j++, at++)
        covariance[head * width * width + at] = gram.data[at]! / count - ofHead[i]! * ofHead[j]!;
  }
  return { mean, covariance, heads, width };
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
