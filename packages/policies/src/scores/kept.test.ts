import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { highestPlaces, keptCount } from "./kept.js";

describe("keptCount", () => {
  it.each([
    [4000, 0.75, 1000],
    [10, 0, 10],
    [10, 1, 0],
    // 1000 * (1 - 0.9) is 99.99999999999997 in float64, and kvpress keeps 99.
    [1000, 0.9, 99],
    [7, 0.5, 3],
  ])("of %i tokens without a share of %f keeps %i", (tokens, removed, kept) => {
    expect(keptCount(tokens, removed)).toBe(kept);
  });

  it.each([-0.1, 1.1, Number.NaN])("refuses %f as a share", (removed) => {
    expect(() => keptCount(10, removed)).toThrow(
      `keptCount: expected removed between 0 and 1, found ${removed}`,
    );
  });
});

describe("highestPlaces", () => {
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
        expect(Array.from(highestPlaces(Float32Array.from(scores), count))).toEqual(expected);
      }),
    );
  });

  it("refuses to keep more than there is", () => {
    expect(() => highestPlaces(new Float32Array(3), 4)).toThrow(
      "highestPlaces: expected a count of 0 to 3 places, found 4",
    );
  });
});
