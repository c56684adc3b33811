import { applyRope, type RopeTables, ropeTables } from "@kvfold/rope";
import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { keysOf, queriesOf, valuesOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import { ALL_TOKENS, type Policy } from "../policy.js";
import { expectedAttentionScores } from "../scores/expected-attention.js";
import type { HeadRows } from "../scores/head-rows.js";
import { queryMoments, turnMoments } from "../scores/query-moments.js";

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
  const inverseFrequencies = layer.inverseFrequencies ?? frequencies(theta, queries.width);
  const tables = (first: number, length: number): RopeTables<Float64Array> | undefined =>
    inverseFrequencies.length === 0
      ? undefined
      : ropeTables({
          inverseFrequencies,
          positions: Float64Array.from({ length }, (_, index) => first + index),
          dtype: "float64",
        });
  const first = layer.seen - queries.rows;
  const before = turnBack(queries, tables(first, queries.rows));
  const moments = queryMoments(before, Math.max(0, Math.min(sinks, layer.seen - 1) - first));
  const toCome = tables(layer.seen, future);
  return expectedAttentionScores({
    keys: keysOf(head),
    values: valuesOf(head),
    moments: toCome === undefined ? moments : turnMoments(moments, toCome),
    sinks: Math.min(sinks, head.tokens - 1),
    epsilon,
    scale: layer.scale,
  });
}

/** Frequencies `theta^(-2 j / width)`; none for a base of 0. */
const frequencies = (theta: number, width: number): Float64Array =>
  Float64Array.from({ length: theta > 0 ? width / 2 : 0 }, (_, pair) => theta ** ((-2 * pair) / width));

/** Queries before their rotation. */
function turnBack(queries: HeadRows, tables: RopeTables<Float64Array> | undefined): HeadRows {
  if (tables === undefined) return queries;
  const backwards = { ...tables, sin: tables.sin.map((sine) => -sine) };
  return {
    ...queries,
    data: applyRope(queries.data, { tables: backwards, heads: 1, headDim: queries.width }),
  };
}
