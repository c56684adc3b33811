import { expect, it } from "vitest";
import { layerView } from "../../test/views.js";
import type { LayerView } from "../cache-view.js";
import { keptIndices } from "../kept-indices.js";
import type { Policy } from "../policy.js";
import { corm } from "./corm.js";

/** A layer of one head that is read once, with the attention of the last queries. */
const view = (positions: readonly number[], seen: number, ...attention: readonly (readonly number[])[]) =>
  layerView(positions.length, {
    seen,
    heads: [
      {
        tokens: positions.length,
        queryHeads: 1,
        keys: new Float32Array(positions.length),
        values: new Float32Array(positions.length),
        positions: Int32Array.from(positions),
        attention: Float32Array.from(attention.flat()),
      },
    ],
  });
/** What a policy keeps of such a layer, after a prompt or a step; undefined where it changes nothing. */
function kept(act: Policy["afterStep"], layer: LayerView): readonly number[] | undefined {
  const change = act!(layer)?.[0];
  return change && Array.from(keptIndices(change, layer.heads[0]!.tokens));
}

it("drops tokens that none of the last queries found important, step by step", () => {
  const policy = corm({ window: 2, recent: 1 });
  const prompt = view([0, 1, 2, 3], 4, [0.4, 0.1, 0.5, 0], [0.7, 0.1, 0.1, 0.1]);
  // Query 2 sees three tokens and finds 0 and 2 important, query 3 only 0; token 3 is recent.
  expect(kept(policy.afterPrefill, prompt)).toEqual([0, 2, 3]);
  // Query 4 finds 0 and itself important. Token 2 was so to query 2, which is too long ago.
  expect(kept(policy.afterStep, view([0, 2, 3, 4], 5, [0.5, 0.1, 0.1, 0.3]))).toEqual([0, 3]);
});

it("remembers nothing of another cache", () => {
  const policy = corm({ window: 2, recent: 1 });
  policy.afterPrefill!(view([0, 1, 2], 3, [0.9, 0.1, 0], [0.9, 0.05, 0.05]));
  const other = policy.begin!();
  expect(kept(other.afterPrefill, view([0, 1, 2], 3, [0.1, 0.9, 0], [0.05, 0.9, 0.05]))).toEqual([1, 2]);
});

it("keeps all until there have been as many queries as its window", () => {
  const policy = corm({ window: 3, recent: 0 });
  expect(kept(policy.afterPrefill, view([0, 1], 2, [1, 0], [1, 0]))).toBeUndefined();
  expect(kept(policy.afterStep, view([0, 1, 2], 3, [1, 0, 0]))).toEqual([0]);
});

it("gives tokens whose queries it did not see the time of its window", () => {
  const policy = corm({ window: 2, recent: 0 });
  // Only query 3 is seen; it passes over itself. Of the others queries before it may have made something.
  expect(kept(policy.afterStep, view([0, 1, 2, 3], 4, [0.9, 0.1, 0, 0]))).toEqual([0, 1, 2]);
  expect(kept(policy.afterStep, view([0, 1, 2, 4], 5, [0.9, 0.1, 0, 0]))).toEqual([0]);
});

it("drops the same tokens wherever they stand", () => {
  const attention = [0.4, 0.02, 0.3, 0.03, 0.15, 0.1];
  const order = [3, 0, 5, 2, 4, 1];
  const positions = [0, 2, 3, 5, 7, 8];
  const droppedBy = (slots: readonly number[]) => {
    const policy = corm({ window: 1, recent: 3 });
    const layer = view(
      slots.map((slot) => positions[slot]!),
      9,
      slots.map((slot) => attention[slot]!),
    );
    const stay = new Set(kept(policy.afterStep, layer));
    return layer.heads[0]!.positions.filter((_, slot) => !stay.has(slot)).sort();
  };
  // Below a sixth are 2, 5, 7 and 8; the latest three that are cached stay, though the one at 6 is gone.
  expect(Array.from(droppedBy([0, 1, 2, 3, 4, 5]))).toEqual([2]);
  expect(droppedBy(order)).toEqual(droppedBy([0, 1, 2, 3, 4, 5]));
});

it("forgets what queries after a cut had found", () => {
  const policy = corm({ window: 2, recent: 0 });
  policy.afterPrefill!(view([0, 1, 2, 3], 4, [0.9, 0.05, 0.05, 0], [0.05, 0.85, 0.05, 0.05]));
  // Tokens 2 and 3 are gone, and 2 comes anew: query 3, which found token 1 important, has never been.
  expect(kept(policy.afterStep, view([0, 1, 2], 3, [0.9, 0.05, 0.05]))).toEqual([0, 1]);
  expect(kept(policy.afterStep, view([0, 1, 3], 4, [0.9, 0.05, 0.05]))).toEqual([0]);
});
