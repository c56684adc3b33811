import { expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { twoHeads } from "../../test/two-heads.js";
import { storedAttention } from "./attention-rows.js";
import { tovaScores } from "./tova.js";

it("averages the last query's attention over all heads, and lifts the last token", () => {
  expect(distance(tovaScores(twoHeads), [0.15, 0, 0.05, 0.3, 0.2, 1.3])).toBeLessThan(1e-6);
});

it("keeps the same tokens in all KV heads", () => {
  const weights = Float32Array.of(0.5, 0.25, 0.25, 0.1, 0.6, 0.3);
  const scores = tovaScores(storedAttention({ weights, kvHeads: 2, heads: 2, queries: 1, tokens: 3 }));
  expect(distance(scores, [0.3, 0.425, 1.425, 0.3, 0.425, 1.425])).toBeLessThan(1e-6);
  expect(scores.slice(0, 3)).toEqual(scores.slice(3));
});
