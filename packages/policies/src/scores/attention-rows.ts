import { PolicyError } from "../policy-error.js";
import { type HeadRows, requireCounts, requireQueries, rowsOfHead } from "./head-rows.js";
import { softmaxInPlace } from "./softmax.js";

/** Where the tokens of `W` queries stand among the cached ones, which lie in the order of their positions. */
export interface QueryPlaces {
  /** Cached tokens before that of the first query. */
  readonly past: number;
  /** `[W]`: cached tokens that each query sees, its own included where it is cached. */
  readonly visible: ArrayLike<number>;
}

/** The places of the queries of the last tokens, all of which are cached. */
export const lastPlaces = (tokens: number, queries: number): QueryPlaces => ({
  past: tokens - queries,
  visible: Int32Array.from({ length: queries }, (_, query) => tokens - queries + query + 1),
});

/**
 * @param row - Attention weights of the tokens that the query sees, the first ones of the cache. The array may be used again
 * after the call.
 * @param head - Query head; it reads KV head `floor(head / (H / Hkv))`.
 * @param query - From 0 to `W - 1`, the oldest first.
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
  /** `W` */
  readonly queries: number;
  readonly places: QueryPlaces;
  /** Shows all rows, head by head, and in each head the queries in order. */
  readonly visit: (visit: VisitRow) => void;
}

export declare namespace attentionRows {
  interface Options {
    /** `[Hkv, T, d]`, as they are cached. */
    readonly keys: HeadRows;
    /** `[H, W, d]`: queries, as they meet the keys. `Hkv` divides `H`. */
    readonly queries: HeadRows;
    /** Default: the queries are those of the last `W` tokens, all of which are cached. */
    readonly places?: QueryPlaces | undefined;
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
 * @throws {PolicyError} when keys and queries do not fit each other.
 */
export function attentionRows({
  keys,
  queries,
  places = lastPlaces(keys.rows, queries.rows),
  scale = 1 / Math.sqrt(keys.width),
}: attentionRows.Options): AttentionRows {
  requireQueries("attentionRows", keys, queries);
  requirePlaces("attentionRows", places, keys.rows, queries.rows);
  const { heads, rows } = queries;
  return {
    kvHeads: keys.heads,
    heads,
    tokens: keys.rows,
    queries: rows,
    places,
    visit: (visit) => {
      const buffers = createBuffers(keys);
      for (let head = 0; head < heads; head++)
        visitHead({ keys, queries, places, scale, buffers, head }, visit);
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
  readonly places: QueryPlaces;
  readonly scale: number;
  readonly buffers: Buffers;
  readonly head: number;
}

function visitHead({ keys, queries, places, scale, buffers, head }: HeadAttention, visit: VisitRow): void {
  const { scores, block, weights } = buffers;
  const { rows: tokens, width } = keys;
  const ofKeys = rowsOfHead(keys, Math.floor((head * keys.heads) / queries.heads));
  const ofQueries = rowsOfHead(queries, head);
  for (let first = 0; first < queries.rows; first += BLOCK) {
    const end = Math.min(first + BLOCK, queries.rows);
    loadQueries(block, ofQueries.subarray(first * width, end * width), scale);
    scoreKeys(scores, { keys: ofKeys, block, width, stride: tokens, count: places.visible[end - 1]! });
    for (let query = first; query < end; query++) {
      const start = (query - first) * tokens;
      const row = weights.subarray(0, places.visible[query]!);
      const ofQuery = scores.subarray(start, start + row.length);
      softmaxInPlace(ofQuery);
      row.set(ofQuery);
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

export declare namespace storedAttention {
  interface Options {
    /** `[H, W, T]`: what a decoder computed for the last `W` tokens; zero beyond each query's own token. */
    readonly weights: Float32Array;
    readonly kvHeads: number;
    readonly heads: number;
    readonly queries: number;
    readonly tokens: number;
    /** Default: the queries are those of the last `W` tokens, all of which are cached. */
    readonly places?: QueryPlaces | undefined;
  }
}

/**
 * Attention that a decoder has computed, with whatever its model adds to scores: ALiBi, caps, sinks, windows.
 *
 * @throws {PolicyError} when `weights` has another length, when the KV heads do not divide the heads, when a size is not a
 * positive integer, or when the places are not among the tokens.
 */
export function storedAttention({
  weights,
  places: given,
  ...sizes
}: storedAttention.Options): AttentionRows {
  requireStored(weights, sizes);
  const { heads, queries, tokens } = sizes;
  const places = given ?? lastPlaces(tokens, queries);
  requirePlaces("storedAttention", places, tokens, queries);
  return {
    ...sizes,
    places,
    visit: (visit) => {
      for (let row = 0; row < heads * queries; row++) {
        const query = row % queries;
        const start = row * tokens;
        const seen = weights.subarray(start, start + places.visible[query]!);
        visit(seen, Math.floor(row / queries), query);
      }
    },
  };
}

function requireStored(
  weights: Float32Array,
  { kvHeads, heads, queries, tokens }: Omit<storedAttention.Options, "weights" | "places">,
): void {
  requireCounts("storedAttention", { kvHeads, heads, queries, tokens });
  if (weights.length === heads * queries * tokens && heads % kvHeads === 0) return;
  throw new PolicyError(
    `storedAttention: expected weights of ${heads} heads in equal groups over ${kvHeads} KV heads, ${queries} queries and ${tokens} tokens, found ${weights.length} numbers`,
  );
}

/** Queries see no fewer tokens than those before the first of them, and later ones no fewer than earlier ones. */
function requirePlaces(
  caller: string,
  { past, visible }: QueryPlaces,
  tokens: number,
  queries: number,
): void {
  const counts = [0, past, ...Array.from(visible), tokens];
  const isRising = counts.slice(1).every((count, index) => count >= counts[index]!);
  if (isRising && visible.length === queries) return;
  throw new PolicyError(
    `${caller}: expected the queries of the last of ${tokens} cached tokens, found ${queries} queries that see ${Array.from(visible).join(", ")}`,
  );
}
