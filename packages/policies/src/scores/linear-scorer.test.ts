import { describe, expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { storedAttention } from "./attention-rows.js";
import { fitLinearScorer, kvzapTargets, linearScores, scorerSums } from "./linear-scorer.js";

const hidden = Float32Array.of(1, 0, 0, 1, 1, 1, 2, -1, 0, 0);
/** Two heads: `2 a - b + 3` and `-b`. */
const targets = Float32Array.from(
  [0, 1, 2, 3, 4].flatMap((token) => {
    const [a, b] = [hidden[2 * token]!, hidden[2 * token + 1]!];
    return [2 * a - b + 3, -b];
  }),
);

describe("fitLinearScorer", () => {
  it("finds a linear rule and its constant", async () => {
    const scorer = await fitLinearScorer(scorerSums(hidden, targets, 2), 0);
    expect(distance(scorer.weights.data, [2, 0, -1, -1])).toBeLessThan(1e-12);
    expect(distance(scorer.bias, [3, 0])).toBeLessThan(1e-12);
    expect(distance(linearScores(scorer, Float32Array.of(1, 1, 5, 0)), [4, 13, -1, 0])).toBeLessThan(1e-6);
  });

  it("draws weights to zero, not the constant, and gives a silent input none", async () => {
    const silent = Float32Array.from([0, 1, 2, 3, 4].flatMap((token) => [hidden[2 * token]!, 0]));
    const flat = new Float32Array(5).fill(4);
    const scorer = await fitLinearScorer(scorerSums(silent, flat, 2), 10);
    expect(distance(scorer.weights.data, [0, 0])).toBeLessThan(1e-12);
    expect(distance(scorer.bias, [4])).toBeLessThan(1e-12);
  });

  it("refuses targets for other tokens", () => {
    expect(() => scorerSums(hidden, new Float32Array(7), 2)).toThrow("found 10 and 7 numbers");
  });
});

describe("kvzapTargets", () => {
  it("takes the most that any query of the group can be moved by a token", () => {
    const attention = storedAttention({
      weights: Float32Array.of(0.5, 0.5, 0, 0.25, 0.25, 0.5, 0.1, 0.9, 0, 0.4, 0.2, 0.4),
      kvHeads: 1,
      heads: 2,
      queries: 2,
      tokens: 3,
    });
    const found = kvzapTargets({
      attention,
      tokens: 2,
      outputNorms: Float32Array.of(1, 2, 3, 1),
      hiddenNorms: Float32Array.of(2, 1),
    });
    // Token 0: .25, .25, .15, 1.2; token 1: .5, .5, .45, .2.
    expect(distance(found, [Math.log(1.2), Math.log(0.5)])).toBeLessThan(1e-6);
  });
});
