import { expect, it } from "vitest";
import { keyNormScores } from "./key-norms.js";

it("scores by falling norm, head by head", () => {
  const data = Float32Array.of(3, 4, 0, 0, 1, 0, /* second head */ 0, -2, 5, 12, 8, 15);
  expect(Array.from(keyNormScores({ data, heads: 2, rows: 3, width: 2 }))).toEqual([-5, 0, -1, -2, -13, -17]);
});

it("names the length that does not fit", () => {
  expect(() => keyNormScores({ data: new Float32Array(5), heads: 1, rows: 3, width: 2 })).toThrow(
    "keyNormScores: expected keys of 1 x 3 x 2 = 6 numbers, found 5",
  );
});
