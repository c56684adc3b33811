import { expect, it } from "vitest";
import { randomScores } from "./random-scores.js";

it("takes a number for each score, in order", () => {
  const numbers = [0.25, 0.5, 0.75];
  expect(Array.from(randomScores(3, () => numbers.shift()!))).toEqual([0.25, 0.5, 0.75]);
});
