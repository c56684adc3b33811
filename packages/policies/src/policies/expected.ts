import { applyRope, type RopeTables, ropeTables } from "@kvfold/rope";
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
  }
}

/**
 * Keeps the tokens that queries to come are expected to pay most, times the norm of their values (Expected Attention, arXiv
 * 2510.00636). Queries of the prompt are turned back to before their rotation; their mean and covariance are turned by the
 * mean rotation over the positions to come. Where a view does not tell the frequencies of the rotation, as in layers that have
 * none or cache other keys than rotated ones, the queries are taken as they met the keys.
 */
export const expected = (budget: Budget, options: expected.Options = {}, name = "expected"): Policy => {
  const turnOf = lastRotation();
  return {
    name,
    action: "drop",
    needs: { queries: options.window || ALL_TOKENS },
    afterPrefill: (layer) =>
      keepBest(layer, (view) => layerScores(view, { ...options, name, turnOf }), uniformBudget(budget)),
  };
};

interface LayerScoring extends expected.Options {
  readonly name: string;
  readonly turnOf: typeof rotation;
}

/** Scores of all heads; rotations are the same for them. */
function layerScores(layer: LayerView, { name, turnOf, ...options }: LayerScoring): readonly Float32Array[] {
  const { heads, seen, inverseFrequencies } = layer;
  const { window = 0, future = 512 } = options;
  const most = window || ALL_TOKENS;
  const all = heads.map((head) => queriesOf(head, most, name));
  const turn = inverseFrequencies && turnOf(inverseFrequencies, { seen, queries: all[0]!.rows, future });
  const turned = turn && new Float32Array(all[0]!.data.length);
  return heads.map((head, index) =>
    scoreInOrder(head, (ordered) =>
      headScores(ordered, { queries: all[index]!, seen, turn, turned, ...options }),
    ),
  );
}

interface Scoring extends expected.Options {
  readonly queries: HeadRows;
  readonly seen: number;
  readonly turn: Turn | undefined;
  /** Where the queries are turned back, one head after the other. */
  readonly turned: Float32Array | undefined;
}

function headScores(
  head: HeadView,
  { queries, seen, turn, turned, sinks = 4, epsilon = 0 }: Scoring,
): Float32Array {
  const first = seen - queries.rows;
  const skip = Math.max(0, Math.min(sinks, seen - 1) - first);
  return expectedAttentionScores({
    keys: keysOf(head),
    values: valuesOf(head),
    moments: turn === undefined ? queryMoments(queries, skip) : momentsToCome(queries, skip, turn, turned),
    sinks: Math.min(sinks, head.tokens - 1),
    epsilon,
  });
}

/** What turns queries back to before their rotation, and moments to positions to come. */
interface Turn {
  readonly back: RopeTables<Float32Array>;
  readonly forth: RopeTables<Float64Array>;
}

/** Where queries stood, and how many positions to come there are. */
interface Span {
  readonly seen: number;
  readonly queries: number;
  readonly future: number;
}

function rotation(inverseFrequencies: Float64Array, { seen, queries, future }: Span): Turn {
  const behind = Float64Array.from({ length: queries }, (_, index) => queries - seen - index);
  const ahead = Float64Array.from({ length: future }, (_, index) => seen + index);
  return {
    back: ropeTables({ inverseFrequencies, positions: behind }),
    forth: ropeTables({ inverseFrequencies, positions: ahead, dtype: "float64" }),
  };
}

/** The same, made once for layers one after the other that turn alike. */
function lastRotation(): typeof rotation {
  let last: { readonly key: string; readonly turn: Turn } | undefined;
  return (inverseFrequencies, span) => {
    const { seen, queries, future } = span;
    const key = [seen, queries, future, ...inverseFrequencies].join();
    if (last?.key !== key) last = { key, turn: rotation(inverseFrequencies, span) };
    return last.turn;
  };
}

/** Moments of the queries at positions to come, from those of the prompt before their rotation. */
function momentsToCome(
  queries: HeadRows,
  skip: number,
  { back, forth }: Turn,
  out: Float32Array = new Float32Array(queries.data.length),
): QueryMoments {
  const data = applyRope(queries.data, { tables: back, heads: 1, headDim: queries.width, out });
  return turnMoments(queryMoments({ ...queries, data }, skip), forth);
}
