import { LEAST_QUERIES, MOST_SCORES } from "./block-bounds.js";
import type { Emitter } from "./emitter.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import { biasKey, type QueryBlocks, type ScoreBiasNeeds } from "./positions.js";
import type { TokenIds } from "./token-ids.js";

/** Where tokens stand, int64 `[B, S]` and `[B, T]`, -1 for none. */
export interface Standing {
  readonly query: string;
  readonly key: string;
}

export declare namespace emitQueryBlocks {
  interface Options {
    readonly ids: Pick<TokenIds, "count" | "sequences">;
    /** bool scalar: whether every sequence has one new token. */
    readonly isStep: () => string;
    readonly standing: () => Standing;
    /** The score bias of tokens that stand so. */
    readonly emitBias: (e: Emitter, standing: Standing, needs: ScoreBiasNeeds) => string;
  }
}

/** Blocks of at most `MOST_SCORES`, in a graph of which positions are known as those of queries and keys. */
export function emitQueryBlocks(
  e: Emitter,
  { ids, isStep, standing, emitBias }: emitQueryBlocks.Options,
): QueryBlocks {
  const scalar = (value: number) => e.graph.int64([value], []);
  const size = once(() => {
    const perQuery = e.node("Mul", "scores/Mul", [ids.count("all"), ids.sequences()]);
    const queries = e.node("Div", "size/Div", [scalar(MOST_SCORES), perQuery]);
    return e.node("Max", "size/Max", [queries, scalar(LEAST_QUERIES)]);
  });
  return {
    size,
    count: once(() => {
      const last = e.node("Sub", "last/Sub", [ids.count("new"), scalar(1)]);
      return e.node("Add", "count/Add", [e.node("Div", "count/Div", [last, size()]), scalar(1)]);
    }),
    bias(at, needs, { start, end }) {
      const { query, key } = standing();
      const own = at.node("Slice", "query/Slice", [query, start, end, at.graph.int64([1])]);
      return emitBias(at, { query: own, key }, needs);
    },
    stepBias: memoise<ScoreBiasNeeds, string>(biasKey, (needs, index) => {
      const at = numbered(e.at("step"), index);
      const { query, key } = standing();
      const end = at.node("Where", "end/Where", [isStep(), at.graph.int64([1]), at.graph.int64([0])]);
      const range = [at.graph.int64([0]), end, at.graph.int64([1])];
      return emitBias(at, { query: at.node("Slice", "query/Slice", [query, ...range]), key }, needs);
    }),
  };
}
