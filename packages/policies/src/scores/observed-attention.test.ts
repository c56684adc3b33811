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
  const scores = observedAttentionScores({ ...twoHeads, sums: attentionSums(twoHeads) });
  expect(distance(scores, [0.2, 0.15, 0.15, 0.2, 0.15, 0.3])).toBeLessThan(1e-6);
});

it("divides by the queries that see each of the tokens that are left", () => {
  // Tokens 1, 4 and 5 of six: the queries of the tokens 3, 4 and 5 see one, two and three of them.
  const sums = Float32Array.of(0.6, 0.5, 0.9, 1.2, 0.1, 0.3);
  const places = { past: 1, visible: [1, 2, 3] };
  const scores = observedAttentionScores({ sums, kvHeads: 2, tokens: 3, places });
  expect(distance(scores, [0.2, 0.25, 0.9, 0.4, 0.05, 0.3])).toBeLessThan(1e-6);
});
