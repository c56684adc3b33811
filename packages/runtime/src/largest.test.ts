import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestValues } from "./largest.js";

describe("largestValues", () => {
  it("is what sorting all values gives, whatever their order and however many are equal", () => {
    // Few different values make ties, within the count and across its end.
    const values = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 4 }), fc.double({ min: 0, max: 1, noNaN: true })),
      {
        minLength: 1,
        maxLength: 80,
      },
    );
    fc.assert(
      fc.property(values, fc.nat(), (numbers, seed) => {
        const count = 1 + (seed % numbers.length);
        const sorted = numbers.toSorted((a, b) => b - a).slice(0, count);
        expect([...largestValues(Float64Array.from(numbers), count)]).toEqual(sorted);
      }),
    );
  });

  it.each([
    ["ascending", (index: number) => index],
    ["descending", (index: number) => -index],
    ["equal", () => 1],
    ["zero but one", (index: number) => Number(index === 7)],
  ])("is quick on %s values", (_, value) => {
    const values = Float64Array.from({ length: 100_000 }, (_unused, index) => value(index));
    const before = values.slice();
    expect(largestValues(values, 40)).toEqual(values.toSorted().reverse().slice(0, 40));
    expect(values.every((found, index) => found === before[index])).toBe(true);
  });
});
