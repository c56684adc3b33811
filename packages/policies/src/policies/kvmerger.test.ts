import { expect, it } from "vitest";
import { layerView } from "../../test/views.js";
import { kvmerger } from "./kvmerger.js";

const head = {
  tokens: 4,
  queryHeads: 1,
  keys: Float32Array.of(1, 0, 1, 0, 0, 3, 2, 2),
  values: Float32Array.of(2, 6, 10, 20),
  positions: Int32Array.of(0, 1, 2, 3),
  // Of the last token.
  attention: Float32Array.of(0.1, 0.4, 0.3, 0.2),
};
const view = layerView(4, { heads: [head] });
const options = { window: 1, recent: 0, heavy: 0 };

it("merges the most similar neighbours into the one of most attention", () => {
  const [own] = kvmerger({ tokens: 3 }, options).afterPrefill!(view)!;
  expect(Array.from(own!.kept!)).toEqual([1, 2, 3]);
  expect(Array.from(own!.keys!)).toEqual([1, 0, 0, 3, 2, 2]);
  expect(Array.from(own!.values!)).toEqual([4, 10, 20]);
});

it("says in which slots merged tokens stand", () => {
  const moved = {
    ...head,
    keys: Float32Array.of(2, 2, 1, 0, 1, 0, 0, 3),
    values: Float32Array.of(20, 6, 2, 10),
    positions: Int32Array.of(3, 1, 0, 2),
    attention: Float32Array.of(0.2, 0.4, 0.1, 0.3),
  };
  const [own] = kvmerger({ tokens: 3 }, options).afterPrefill!({ ...view, heads: [moved] })!;
  expect(Array.from(own!.kept!)).toEqual([0, 1, 3]);
  expect(Array.from(own!.keys!)).toEqual([2, 2, 1, 0, 0, 3]);
  expect(Array.from(own!.values!)).toEqual([20, 4, 10]);
});

it("never merges recent and heavy tokens", () => {
  // Of three tokens kept, one recent and one heavy: the tokens 3 and 1. Nothing is left beside each other.
  const [own] = kvmerger({ tokens: 3 }, { ...options, recent: 0.4, heavy: 0.4 }).afterPrefill!(view)!;
  expect(Array.from(own!.kept!)).toEqual([0, 1, 2, 3]);
});

it("leaves the first layers and the last alone", () => {
  const act = (layer: number) => kvmerger({ tokens: 3 }, options).afterPrefill!({ ...view, layer });
  expect([0, 1, 5].map(act)).toEqual([undefined, undefined, undefined]);
  expect(act(2)).toBeDefined();
});

it("finds pivots by the sums of all queries where there is no window", () => {
  const { attention: _, ...rest } = head;
  const attentionSums = { sums: Float32Array.of(1.4, 0.9, 0.5, 1.2), queries: 4 };
  const own = kvmerger({ tokens: 3 }, { ...options, window: 0 });
  expect(own.needs).toEqual({ attentionSums: 2 ** 31 - 1 });
  const [change] = own.afterPrefill!({ ...view, heads: [{ ...rest, attentionSums }] })!;
  expect(Array.from(change!.kept!)).toEqual([0, 2, 3]);
});
