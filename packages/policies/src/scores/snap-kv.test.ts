import { expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { twoHeads } from "../../test/two-heads.js";
import { storedAttention } from "./attention-rows.js";
import { maxPool } from "./pooling.js";
import { snapKvScores } from "./snap-kv.js";

// The window's means: head 0 (.2 .1 .2 .2), head 1 (.2 .2 .1 .2).
it("pools each query head's means, averages the group, and lifts the window", () => {
  const scores = snapKvScores({ attention: twoHeads, kernel: 3 });
  const [ends, middle] = [0.7 / 6, 1 / 6];
  expect(distance(scores, [ends, middle, middle, ends, 1 + middle, 2 + middle])).toBeLessThan(1e-6);
});

it("pools by maxima before it averages", () => {
  // Both heads have .2 in every neighbourhood. Averaged first, tokens 1 and 2 would have .15 before pooling.
  expect(
    distance(snapKvScores({ attention: twoHeads, kernel: 3, pool: maxPool }), [0.2, 0.2, 0.2, 0.2, 1.2, 2.2]),
  ).toBeLessThan(1e-6);
  expect(
    distance(snapKvScores({ attention: twoHeads, kernel: 1 }), [0.2, 0.15, 0.15, 0.2, 1.2, 2.2]),
  ).toBeLessThan(1e-6);
});

it("prefers the newest where the window is the whole text", () => {
  const attention = storedAttention({
    weights: Float32Array.of(1, 0, 0.5, 0.5),
    kvHeads: 1,
    heads: 1,
    queries: 2,
    tokens: 2,
  });
  expect(Array.from(snapKvScores({ attention }))).toEqual([1, 2]);
});
