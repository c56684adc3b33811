import type { HeadView, LayerView } from "./cache-view.js";
import { PolicyError } from "./policy-error.js";
import {
  type AttentionRows,
  attentionRows,
  type QueryPlaces,
  storedAttention,
} from "./scores/attention-rows.js";
import type { HeadRows } from "./scores/head-rows.js";
import type { SummedAttention } from "./scores/observed-attention.js";

/** The keys of one head. */
export const keysOf = ({ keys, tokens }: HeadView): HeadRows => rowsOf(keys, 1, tokens);

/** The values of one head. */
export const valuesOf = ({ values, tokens }: HeadView): HeadRows => rowsOf(values, 1, tokens);

const rowsOf = (data: Float32Array, heads: number, rows: number): HeadRows => ({
  data,
  heads,
  rows,
  width: data.length / (heads * rows),
});

/**
 * The last `count` queries that read a head, or as many as there are.
 *
 * @throws {PolicyError} for a head that has none.
 */
export function queriesOf(
  { queries, queryHeads, tokens, keys }: HeadView,
  count: number,
  policy: string,
): HeadRows {
  if (queries === undefined) {
    throw new PolicyError(
      `${policy}: expected the queries of the last tokens, found none: createState's observe has them kept, and layers of joint latents have none`,
    );
  }
  const width = keys.length / tokens;
  const kept = lastRows(queries, { heads: queryHeads, width, count });
  return rowsOf(kept, queryHeads, kept.length / (queryHeads * width));
}

/**
 * How the last `count` queries, or as many as there are, share their attention among the tokens of a head, which stand in the
 * order of their positions. It is what the decoder computed, where that is of as many queries; else it comes from the queries.
 *
 * @throws {PolicyError} for a head that has neither.
 */
export function attentionOf(
  head: HeadView,
  { seen }: LayerView,
  count: number,
  policy: string,
): AttentionRows {
  const { attention, queryHeads, tokens } = head;
  const stored = (attention?.length ?? 0) / (queryHeads * tokens);
  if (attention === undefined || (head.queries !== undefined && stored < count)) {
    const queries = queriesOf(head, count, policy);
    return attentionRows({ keys: keysOf(head), queries, places: placesOf(head, seen, queries.rows) });
  }
  const queries = Math.min(stored, count);
  const weights = lastRows(attention, { heads: queryHeads, width: tokens, count });
  const places = placesOf(head, seen, queries);
  return storedAttention({ weights, kvHeads: 1, heads: queryHeads, queries, tokens, places });
}

/**
 * What the last queries together paid each token of a head, whose tokens stand in the order of their positions.
 *
 * @throws {PolicyError} for a head that has no sums.
 */
export function attentionSumsOf(head: HeadView, { seen }: LayerView, policy: string): SummedAttention {
  const { attentionSums, tokens } = head;
  if (attentionSums === undefined) {
    throw new PolicyError(
      `${policy}: expected sums of the attention of the last tokens, found none: createState's observe has them kept, and layers of joint latents have none`,
    );
  }
  const { sums, queries } = attentionSums;
  return { sums, kvHeads: 1, tokens, places: placesOf(head, seen, queries) };
}

interface LastRows {
  readonly heads: number;
  readonly width: number;
  readonly count: number;
}

/** The last `count` rows of each head of `[heads, rows, width]`: the array itself where there are no more. */
export function lastRows(data: Float32Array, { heads, width, count }: LastRows): Float32Array {
  const rows = data.length / (heads * width);
  if (rows <= count) return data;
  const last = new Float32Array(heads * count * width);
  for (let head = 0; head < heads; head++) {
    last.set(
      data.subarray((head * rows + rows - count) * width, (head + 1) * rows * width),
      head * count * width,
    );
  }
  return last;
}

/** Where the last `queries` of `seen` tokens stand among those that are cached. */
function placesOf({ positions }: HeadView, seen: number, queries: number): QueryPlaces {
  const first = seen - queries;
  const visible = new Int32Array(queries);
  let count = positions.length;
  const countBefore = (end: number) => {
    while (count > 0 && positions[count - 1]! >= end) count--;
    return count;
  };
  // From the last query on, so that tokens are passed once.
  for (let query = queries - 1; query >= 0; query--) visible[query] = countBefore(first + query + 1);
  return { past: countBefore(first), visible };
}
