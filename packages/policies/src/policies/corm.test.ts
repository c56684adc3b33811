import { expect, it } from "vitest";
import { layerView } from "../../test/views.js";
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
const kept = (change: ReturnType<NonNullable<ReturnType<typeof corm>["afterStep"]>>) =>
  change?.[0] === undefined ? undefined : Array.from(change[0].kept);

it("drops tokens that none of the last queries found important, step by step", () => {
  const policy = corm({ window: 2, recent: 1 });
  const prompt = view([0, 1, 2, 3], 4, [0.4, 0.1, 0.5, 0], [0.7, 0.1, 0.1, 0.1]);
  // Query 2 sees three tokens and finds 0 and 2 important, query 3 only 0; token 3 is recent.
  expect(kept(policy.afterPrefill!(prompt))).toEqual([0, 2, 3]);
  // Query 4 finds 0 and itself important. Token 2 was so to query 2, which is too long ago.
  expect(kept(policy.afterStep!(view([0, 2, 3, 4], 5, [0.5, 0.1, 0.1, 0.3])))).toEqual([0, 3]);
});

it("remembers nothing of another cache", () => {
  const policy = corm({ window: 2, recent: 1 });
  policy.afterPrefill!(view([0, 1, 2], 3, [0.9, 0.1, 0], [0.9, 0.05, 0.05]));
  const other = policy.begin!();
  expect(kept(other.afterPrefill!(view([0, 1, 2], 3, [0.1, 0.9, 0], [0.05, 0.9, 0.05])))).toEqual([1, 2]);
});

it("keeps all until there have been as many queries as its window", () => {
  const policy = corm({ window: 3, recent: 0 });
  expect(kept(policy.afterPrefill!(view([0, 1], 2, [1, 0], [1, 0])))).toBeUndefined();
  expect(kept(policy.afterStep!(view([0, 1, 2], 3, [1, 0, 0])))).toEqual([0]);
});

it("gives tokens whose queries it did not see the time of its window", () => {
  const policy = corm({ window: 2, recent: 0 });
  // Only query 3 is seen; it passes over itself. Of the others queries before it may have made something.
  expect(kept(policy.afterStep!(view([0, 1, 2, 3], 4, [0.9, 0.1, 0, 0])))).toEqual([0, 1, 2]);
  expect(kept(policy.afterStep!(view([0, 1, 2, 4], 5, [0.9, 0.1, 0, 0])))).toEqual([0]);
});
