import { expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { twoHeads } from "../../test/two-heads.js";
import { attentionSums, observedAttentionScores } from "./observed-attention.js";

it("sums what each token was paid", () => {
  expect(
    distance(attentionSums(twoHeads), [0.4, 0.2, 0.4, 0.4, 0.4, 0.2, 0.4, 0.4, 0.2, 0.4, 0.2, 0.4]),
  ).toBeLessThan(1e-6);
});

it("divides by the queries that could see a token: two, and one for the last", () => {
  expect(distance(observedAttentionScores(twoHeads), [0.2, 0.15, 0.15, 0.2, 0.15, 0.3])).toBeLessThan(1e-6);
});
