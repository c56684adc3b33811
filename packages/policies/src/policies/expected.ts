import { rerotateKeys, ropeFrequencies, ropeTables } from "@kvfold/rope";
import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { keysOf, queriesOf, valuesOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import { ALL_TOKENS, type Policy } from "../policy.js";
import { expectedAttentionScores } from "../scores/expected-attention.js";
import type { HeadRows } from "../scores/head-rows.js";
import { type QueryMoments, queryMoments, turnMoments } from "../scores/query-moments.js";

export declare namespace expected {
  interface Options {
    /** Last queries whose moments are taken: all of the prompt unless given. */
    readonly window?: number;
    /** Positions to come that rotations are averaged over: 512 unless given. */
    readonly future?: number;
    /** First tokens that always stay: 4 unless given. */
    readonly sinks?: number;
    /** What is added to expected weights: 0 unless given. */
    readonly epsilon?: number;
    /**
     * Base of the rotary frequencies, for models that turn whole heads without scaling, where the view does not tell them. Without
     * either the queries are taken as they met the keys, for queries to come.
     */
    readonly theta?: number;
  }
}

/**
 * Keeps the tokens that queries to come are expected to pay most, times the norm of their values (Expected Attention, arXiv
 * 2510.00636). Queries of the prompt are turned back to before their rotation; their mean and covariance are turned by the
 * mean rotation over the positions to come.
 */
export const expected = (budget: Budget, options: expected.Options = {}, name = "expected"): Policy => ({
  name,
  action: "drop",
  needs: { queries: options.window || ALL_TOKENS },
  afterPrefill: (layer) =>
    keepBest(
      layer,
      ({ heads }) =>
        heads.map((head) => scoreInOrder(head, (ordered) => scoresOf(ordered, layer, options, name))),
      uniformBudget(budget),
    ),
});

function scoresOf(
  head: HeadView,
  layer: LayerView,
  { window = 0, future = 512, sinks = 4, epsilon = 0, theta = 0 }: expected.Options,
  name: string,
): Float32Array {
  const queries = queriesOf(head, window || ALL_TOKENS, name);
  const first = layer.seen - queries.rows;
  const skip = Math.max(0, Math.min(sinks, layer.seen - 1) - first);
  const inverseFrequencies = layer.inverseFrequencies ?? frequenciesOf(theta, queries.width);
  return expectedAttentionScores({
    keys: keysOf(head),
    values: valuesOf(head),
    moments:
      inverseFrequencies.length === 0
        ? queryMoments(queries, skip)
        : momentsToCome(queries, { inverseFrequencies, first, skip, future }),
    sinks: Math.min(sinks, head.tokens - 1),
    epsilon,
  });
}

/** Frequencies of a whole head without scaling; none for a base of 0. */
const frequenciesOf = (theta: number, width: number): Float64Array =>
  theta > 0
    ? ropeFrequencies({ ropeType: "default", scaling: {}, theta, headDim: width, rotaryDim: width })
        .inverseFrequencies
    : new Float64Array();

interface Rotation {
  readonly inverseFrequencies: Float64Array;
  /** Position of the first query. */
  readonly first: number;
  /** First queries that do not count. */
  readonly skip: number;
  /** Positions after the last query that rotations are averaged over. */
  readonly future: number;
}

/** Moments of the queries at positions to come, from those of the prompt before their rotation. */
function momentsToCome(
  queries: HeadRows,
  { inverseFrequencies, first, skip, future }: Rotation,
): QueryMoments {
  const { rows, width } = queries;
  const deltas = Float64Array.from({ length: rows }, (_, index) => -(first + index));
  const data = rerotateKeys(queries.data, { inverseFrequencies, deltas, heads: 1, headDim: width });
  const positions = Float64Array.from({ length: future }, (_, index) => first + rows + index);
  return turnMoments(
    queryMoments({ ...queries, data }, skip),
    ropeTables({ inverseFrequencies, positions, dtype: "float64" }),
  );
}
