import { applyRope, ropeTables } from "@kvfold/rope";
import { expect, it } from "vitest";
import { headView, layerView } from "../../test/views.js";
import { bestIndices } from "../scores/best-indices.js";
import { expectedAttentionScores } from "../scores/expected-attention.js";
import { queryMoments, turnMoments } from "../scores/query-moments.js";
import { expected } from "./expected.js";

const TOKENS = 12;
const inverseFrequencies = Float64Array.of(1, 0.1);
const range = (first: number, length: number) => Array.from({ length }, (_, index) => first + index);

/** What the rule gives for queries before their rotation, by its parts. */
function keptBy(before: Float32Array, { keys, values }: ReturnType<typeof headView>): Int32Array {
  const moments = queryMoments({ data: before, heads: 2, rows: TOKENS, width: 4 }, 4);
  const tables = ropeTables({ inverseFrequencies, positions: range(TOKENS, 512) });
  const scores = expectedAttentionScores({
    keys: { data: keys, heads: 1, rows: TOKENS, width: 4 },
    values: { data: values, heads: 1, rows: TOKENS, width: 3 },
    moments: turnMoments(moments, tables),
  });
  return bestIndices(scores, 6);
}

it("turns the prompt's queries back to before their rotation", () => {
  const head = headView(TOKENS, 1);
  const before = head.queries!.slice();
  const tables = ropeTables({ inverseFrequencies, positions: range(0, TOKENS) });
  const queries = applyRope(before, { tables, heads: 1, headDim: 4 });
  const view = layerView(TOKENS, { heads: [{ ...head, queries }], inverseFrequencies });
  const [own] = expected({ removed: 0.5 }).afterPrefill!(view)!;
  expect(own!.kept).toEqual(keptBy(before, head));
});

it("turns the queries of each layer by its own frequencies", () => {
  const layer = (factor: number) =>
    layerView(TOKENS, { inverseFrequencies: inverseFrequencies.map((value) => factor * value) });
  // Over more positions to come the mean rotation of such frequencies is next to nothing.
  const make = () => expected({ removed: 0.4 }, { future: 1 });
  const one = make();
  const [first, second] = [1, 2].map((factor) => one.afterPrefill!(layer(factor)));
  expect(first).not.toEqual(second);
  expect(make().afterPrefill!(layer(2))).toEqual(second);
});

it("takes queries as they are where nothing is known of rotations", () => {
  const head = headView(TOKENS, 1);
  const [own] = expected({ removed: 0.5 }).afterPrefill!(layerView(TOKENS, { heads: [head] }))!;
  const moments = queryMoments({ data: head.queries!, heads: 2, rows: TOKENS, width: 4 }, 4);
  const scores = expectedAttentionScores({
    keys: { data: head.keys, heads: 1, rows: TOKENS, width: 4 },
    values: { data: head.values, heads: 1, rows: TOKENS, width: 3 },
    moments,
  });
  expect(own!.kept).toEqual(bestIndices(scores, 6));
});
