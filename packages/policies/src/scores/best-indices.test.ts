import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bestIndices } from "./best-indices.js";

describe("bestIndices", () => {
  it("keeps as many as asked, the highest, of equals the earlier, in order", () => {
    const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN), fc.constant(-Infinity));
    fc.assert(
      fc.property(fc.array(score, { maxLength: 40 }), fc.nat(), (scores, choice) => {
        const count = choice % (scores.length + 1);
        const lowered = scores.map((value) => (Number.isNaN(value) ? -Infinity : value));
        const expected = lowered
          .map((value, place) => ({ value, place }))
          .sort((a, b) => (a.value === b.value ? a.place - b.place : b.value > a.value ? 1 : -1))
          .slice(0, count)
          .map(({ place }) => place)
          .sort((a, b) => a - b);
        expect(Array.from(bestIndices(Float32Array.from(scores), count))).toEqual(expected);
      }),
    );
  });

  it("keeps all where more are asked for, and none for less than one", () => {
    expect(Array.from(bestIndices(Float32Array.of(2, 1), 3))).toEqual([0, 1]);
    expect(Array.from(bestIndices(Float32Array.of(2, 1), -1))).toEqual([]);
  });
});
