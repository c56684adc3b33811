import type { AttentionWeights, HeadNormWeights } from "../../src/model/decoder-weights.js";
import type { Attended, Seen } from "./decoder.js";
import { applyLinear, applyNorm, type Rows, softCap, zeroRows } from "./layers.js";
import { rotateHeads } from "./positions.js";

/** Attention of an unfolded layer on what its projections read, the output projection included. */
export function runAttention(weights: AttentionWeights, x: Rows, hook: (seen: Seen) => Attended): Rows {
  const { heads, kvHeads, queryNorm, keyNorm } = weights;
  const unturnedQueries = early(weights, applyLinear(x, weights.query), queryNorm, heads);
  const keysBeforeRope = early(weights, applyLinear(x, weights.key), keyNorm, kvHeads);
  const rotate = (rows: Rows) => turn(weights, rows, keyNorm, kvHeads);
  const queries = turn(weights, unturnedQueries, queryNorm, heads);
  const { keys, values } = hook({
    queries,
    keysBeforeRope,
    rotate,
    keys: rotate(keysBeforeRope),
    values: applyLinear(x, weights.value),
  });
  return applyLinear(attend(weights, { queries, keys, values }), weights.output);
}

/** Norms before the rotation. */
const early = (
  { headNorm, headDim }: AttentionWeights,
  rows: Rows,
  norm: HeadNormWeights | undefined,
  heads: number,
): Rows => (headNorm === "before-rotation" && norm ? normHeads(rows, norm, heads, headDim) : rows);

/** The rotation, and norms after it. */
function turn(
  { rope, headNorm, headDim }: AttentionWeights,
  rows: Rows,
  norm: HeadNormWeights | undefined,
  heads: number,
): Rows {
  const rotated = rope === undefined ? rows : rotateHeads(rows, rope);
  return headNorm === "after-rotation" && norm ? normHeads(rotated, norm, heads, headDim) : rotated;
}

function normHeads(
  rows: Rows,
  { kind, epsilon, over, weight }: HeadNormWeights,
  heads: number,
  headDim: number,
) {
  if (over === "whole") return applyNorm(rows, { kind, epsilon, weight, bias: undefined });
  const ones = new Float32Array(headDim).fill(1);
  const split = { count: rows.count * heads, width: headDim, data: rows.data };
  const { data } = applyNorm(split, { kind, epsilon, weight: ones, bias: undefined });
  const scaled = data.map((value, index) => value * weight[index % weight.length]!);
  return { ...rows, data: scaled };
}

/** Causal softmax attention, query head `h` reading KV head `floor(h / (H / Hkv))`: `[T, H * d]`. */
function attend(weights: AttentionWeights, parts: Attended & { readonly queries: Rows }): Rows {
  const { heads, headDim } = weights;
  const result = zeroRows(parts.queries.count, heads * headDim);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < result.count; row++)
      result.data.set(attendOne(weights, parts, head, row), (row * heads + head) * headDim);
  }
  return result;
}

function attendOne(
  weights: AttentionWeights,
  parts: Attended & { readonly queries: Rows },
  head: number,
  row: number,
): Float64Array {
  const { headDim, heads, kvHeads, window = Number.POSITIVE_INFINITY } = weights;
  const { values } = parts;
  const kvHead = Math.floor(head / (heads / kvHeads));
  const first = Math.max(0, row - window + 1);
  const scores = Array.from({ length: row - first + 1 }, (_, index) =>
    score(weights, parts, { head, kvHead, row, key: first + index }),
  );
  const largest = Math.max(...scores);
  const shares = scores.map((value) => Math.exp(value - largest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const output = new Float64Array(headDim);
  for (const [index, share] of shares.entries()) {
    const from = (first + index) * values.width + kvHead * headDim;
    for (let i = 0; i < headDim; i++) output[i]! += (share / total) * values.data[from + i]!;
  }
  return output;
}

interface Pair {
  readonly head: number;
  readonly kvHead: number;
  readonly row: number;
  readonly key: number;
}

function score(
  { headDim, scale, softCap: cap, alibiSlopes }: AttentionWeights,
  { queries, keys }: { readonly queries: Rows; readonly keys: Rows },
  { head, kvHead, row, key }: Pair,
): number {
  const query = row * queries.width + head * headDim;
  const from = key * keys.width + kvHead * headDim;
  let dot = 0;
  for (let i = 0; i < headDim; i++) dot += queries.data[query + i]! * keys.data[from + i]!;
  const scaled = dot * scale;
  const capped = cap === undefined ? scaled : softCap(scaled, cap);
  return capped - (alibiSlopes?.[head] ?? 0) * (row - key);
}
