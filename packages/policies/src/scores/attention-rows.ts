import { PolicyError } from "../policy-error.js";
import { type HeadRows, requireCounts, requireQueries, rowsOfHead } from "./head-rows.js";

/**
 * @param row - `[t + 1]`: attention weights of the keys up to that of the query's own token `t`. The array may be used again
 * after the call.
 * @param head - Query head; it reads KV head `floor(head / (H / Hkv))`.
 * @param query - From 0 to `W - 1`; its token is `T - W + query`.
 */
export type VisitRow = (row: Float32Array, head: number, query: number) => void;

/** The attention that the queries of the last tokens pay to the cached ones, row by row. */
export interface AttentionRows {
  /** `Hkv` */
  readonly kvHeads: number;
  /** `H`, a multiple of `Hkv`. */
  readonly heads: number;
  /** `T` */
  readonly tokens: number;
  /** `W`, at most `T`. */
  readonly queries: number;
  /** Shows all rows, head by head, and in each head the queries in order. */
  readonly visit: (visit: VisitRow) => void;
}

export declare namespace attentionRows {
  interface Options {
    /** `[Hkv, T, d]`, as they are cached. */
    readonly keys: HeadRows;
    /** `[H, W, d]`: the queries of the last `W` of these tokens, as they meet the keys. `Hkv` divides `H`. */
    readonly queries: HeadRows;
    /** What scores are multiplied by. Default `1 / sqrt(d)`; folded heads keep the scale of the unfolded ones. */
    readonly scale?: number | undefined;
  }
}

/** Queries that meet a key at a time: each key is read, and turned into float64, once for all of them. */
const BLOCK = 4;

/**
 * Attention computed as it is visited: `softmax(scale q kᵀ)` with the causal mask. No more than four rows are ever in memory.
 *
 * Numerics: dot products and the sums of a softmax in float64, weights rounded to float32: within 1e-7 of those of the given
 * keys and queries. NaN in a key makes the rows of its head NaN. Each visit costs `H W T d` multiply-adds.
 *
 * @throws {PolicyError} `shape-mismatch` when keys and queries do not fit each other.
 */
export function attentionRows({
  keys,
  queries,
  scale = 1 / Math.sqrt(keys.width),
}: attentionRows.Options): AttentionRows {
  requireQueries("attentionRows", keys, queries);
  const { heads, rows } = queries;
  return {
    kvHeads: keys.heads,
    heads,
    tokens: keys.rows,
    queries: rows,
    visit: (visit) => {
      const buffers = createBuffers(keys);
      for (let head = 0; head < heads; head++) visitHead({ keys, queries, scale, buffers, head }, visit);
    },
  };
}

interface Buffers {
  /** `[4, T]` */
  readonly scores: Float64Array;
  /** `[4, d]` */
  readonly block: Float64Array;
  /** `[T]` */
  readonly weights: Float32Array;
}

const createBuffers = ({ rows, width }: HeadRows): Buffers => ({
  scores: new Float64Array(BLOCK * rows),
  block: new Float64Array(BLOCK * width),
  weights: new Float32Array(rows),
});

interface HeadAttention {
  readonly keys: HeadRows;
  readonly queries: HeadRows;
  readonly scale: number;
  readonly buffers: Buffers;
  readonly head: number;
}

function visitHead({ keys, queries, scale, buffers, head }: HeadAttention, visit: VisitRow): void {
  const { scores, block, weights } = buffers;
  const { rows: tokens, width } = keys;
  const past = tokens - queries.rows;
  const ofKeys = rowsOfHead(keys, Math.floor((head * keys.heads) / queries.heads));
  const ofQueries = rowsOfHead(queries, head);
  for (let first = 0; first < queries.rows; first += BLOCK) {
    const end = Math.min(first + BLOCK, queries.rows);
    loadQueries(block, ofQueries.subarray(first * width, end * width), scale);
    scoreKeys(scores, { keys: ofKeys, block, width, stride: tokens, count: past + end });
    for (let query = first; query < end; query++) {
      const start = (query - first) * tokens;
      const row = weights.subarray(0, past + query + 1);
      softmax(scores.subarray(start, start + row.length), row);
      visit(row, head, query);
    }
  }
}

/** Up to four queries, scaled; zeros where there are fewer. */
function loadQueries(block: Float64Array, queries: Float32Array, scale: number): void {
  block.fill(0);
  for (let at = 0; at < queries.length; at++) block[at] = queries[at]! * scale;
}

interface KeyBlock {
  /** `[T, width]` */
  readonly keys: Float32Array;
  /** `[4, width]` */
  readonly block: Float64Array;
  readonly width: number;
  /** Numbers between the rows of the scores. */
  readonly stride: number;
  /** Keys to score, the first ones. */
  readonly count: number;
}

/** Four dot products at a time, in four registers. */
function scoreKeys(scores: Float64Array, { keys, block, width, stride, count }: KeyBlock): void {
  for (let token = 0, at = 0; token < count; token++) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let j = 0; j < width; j++, at++) {
      const key = keys[at]!;
      a += key * block[j]!;
      b += key * block[width + j]!;
      c += key * block[2 * width + j]!;
      d += key * block[3 * width + j]!;
    }
    scores[token] = a;
    scores[stride + token] = b;
    scores[2 * stride + token] = c;
    scores[3 * stride + token] = d;
  }
}

/** `weights = exp(scores - max) / Σ`; the scores are overwritten. */
function softmax(scores: Float64Array, weights: Float32Array): void {
  let peak = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) if (scores[i]! > peak) peak = scores[i]!;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    const weight = Math.exp(scores[i]! - peak);
    scores[i] = weight;
    sum += weight;
  }
  for (let i = 0; i < scores.length; i++) weights[i] = scores[i]! / sum;
}

export declare namespace storedAttention {
  interface Options {
    /** `[H, W, T]`: what a decoder computed for the last `W` tokens; zero beyond each query's own token. */
    readonly weights: Float32Array;
    readonly kvHeads: number;
    readonly heads: number;
    readonly queries: number;
    readonly tokens: number;
  }
}

/**
 * Attention that a decoder has computed, with whatever its model adds to scores: ALiBi, caps, sinks, windows.
 *
 * @throws {PolicyError} `shape-mismatch` when `weights` has another length, when the KV heads do not divide the heads, or when
 * there are more queries than tokens; `invalid-argument` when a size is not a positive integer.
 */
export function storedAttention({ weights, ...sizes }: storedAttention.Options): AttentionRows {
  requireStored(weights, sizes);
  const { heads, queries, tokens } = sizes;
  return {
    ...sizes,
    visit: (visit) => {
      for (let row = 0; row < heads * queries; row++) {
        const query = row % queries;
        const visible = tokens - queries + query + 1;
        visit(weights.subarray(row * tokens, row * tokens + visible), Math.floor(row / queries), query);
      }
    },
  };
}

function requireStored(weights: Float32Array, sizes: Omit<storedAttention.Options, "weights">): void {
  requireCounts("storedAttention", { ...sizes });
  const { kvHeads, heads, queries, tokens } = sizes;
  if (weights.length === heads * queries * tokens && heads % kvHeads === 0 && queries <= tokens) return;
  throw new PolicyError(
    "shape-mismatch",
    `storedAttention: expected weights of ${heads} heads in equal groups over ${kvHeads} KV heads, ${queries} queries and at least as many tokens (${tokens}), found ${weights.length} numbers`,
  );
}
