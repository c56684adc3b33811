import { expect, it } from "vitest";
import { keyDiffScores } from "./key-diff.js";

it("scores by the angle to the mean direction, which longer keys do not pull", () => {
  // Directions (1, 0), (1, 0), (0, 1): the mean is (2, 1) / 3, at cosines 2, 2 and 1 over the root of 5.
  const data = Float32Array.of(1, 0, 200, 0, 0, 3);
  const scores = keyDiffScores({ data, heads: 1, rows: 3, width: 2 });
  for (const [token, cosine] of [2, 2, 1].entries())
    expect(scores[token]).toBeCloseTo(-cosine / Math.sqrt(5), 6);
});

it("has a mean of its own for each head", () => {
  const one = Float32Array.of(1, 0, 200, 0, 0, 3);
  const other = Float32Array.of(1, 1, 2, -1, 0.5, 7);
  const [a, b] = [one, other].map((data) => keyDiffScores({ data, heads: 1, rows: 3, width: 2 }));
  const both = keyDiffScores({ data: Float32Array.of(...one, ...other), heads: 2, rows: 3, width: 2 });
  expect(both).toEqual(Float32Array.of(...a!, ...b!));
});

it("gives keys without a direction 0, and all keys where directions cancel", () => {
  const withZero = keyDiffScores({ data: Float32Array.of(0, 0, 1, 0), heads: 1, rows: 2, width: 2 });
  expect(Array.from(withZero)).toEqual([0, -1]);
  const cancelled = keyDiffScores({ data: Float32Array.of(2, 0, -1, 0), heads: 1, rows: 2, width: 2 });
  expect(Array.from(cancelled)).toEqual([0, 0]);
});
