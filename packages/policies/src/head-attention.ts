import type { HeadView, LayerView } from "./cache-view.js";
import { PolicyError } from "./policy-error.js";
import {
  type AttentionRows,
  attentionRows,
  type QueryPlaces,
  storedAttention,
} from "./scores/attention-rows.js";
import type { HeadRows } from "./scores/head-rows.js";

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
 * The last queries that read a head.
 *
 * @throws {PolicyError} for a head that has none.
 */
export function queriesOf({ queries, queryHeads, tokens, keys }: HeadView, policy: string): HeadRows {
  if (queries === undefined) {
    throw new PolicyError(
      `${policy}: expected the queries of the last tokens, found none; layers of joint latents have none`,
    );
  }
  return rowsOf(queries, queryHeads, queries.length / ((queryHeads * keys.length) / tokens));
}

/**
 * How the last queries share their attention among the tokens of a head, which stand in the order of their positions: what the
 * decoder computed, or else from its queries.
 *
 * @throws {PolicyError} for a head that has neither.
 */
export function attentionOf(head: HeadView, { seen, scale }: LayerView, policy: string): AttentionRows {
  const { attention, queryHeads, tokens } = head;
  if (attention === undefined) {
    const queries = queriesOf(head, policy);
    return attentionRows({ keys: keysOf(head), queries, places: placesOf(head, seen, queries.rows), scale });
  }
  const queries = attention.length / (queryHeads * tokens);
  const places = placesOf(head, seen, queries);
  return storedAttention({ weights: attention, kvHeads: 1, heads: queryHeads, queries, tokens, places });
}

/** Where the last `queries` of `seen` tokens stand among those that are cached. */
function placesOf({ positions }: HeadView, seen: number, queries: number): QueryPlaces {
  const before = (end: number) => {
    let count = positions.length;
    while (count > 0 && positions[count - 1]! >= end) count--;
    return count;
  };
  const first = seen - queries;
  return {
    past: before(first),
    visible: Int32Array.from({ length: queries }, (_, query) => before(first + query + 1)),
  };
}
