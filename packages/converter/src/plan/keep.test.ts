import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatKeep, parseKeep } from "./keep.js";

describe("parseKeep", () => {
  it.each([
    ["1", "1"],
    ["1.0", "1"],
    ["1/4", "1/4"],
    ["2/8", "1/4"],
    [" 1 / 2 ", "1/2"],
    ["0.5", "1/2"],
    [".125", "1/8"],
    ["0.75", "3/4"],
    ["4/4", "1"],
  ])("reads %j as %s", (text, expected) => {
    expect(formatKeep(parseKeep(text))).toBe(expected);
  });

  it.each(["", "0", "0/4", "1/0", "2", "5/4", "-1/2", "half", "1/2/3", "1e-1", "NaN", "1/2048", "50%"])(
    "refuses %j and says what it wants",
    (text) => {
      expect(() => parseKeep(text)).toThrow(
        expect.objectContaining({
          code: "invalid-option",
          option: "keep",
          message: `keep ${text}: expected a share of the cache above 0 and up to 1, such as 1/2, 1/4 or 0.5`,
        }),
      );
    },
  );

  it("reduces any fraction, and reads back what it writes", () => {
    const denominators = fc.integer({ min: 1, max: 1024 });
    fc.assert(
      fc.property(denominators, denominators, (a, b) => {
        const [top, bottom] = a <= b ? [a, b] : [b, a];
        const keep = parseKeep(`${top}/${bottom}`);
        expect(keep.numerator * bottom).toBe(keep.denominator * top);
        expect(parseKeep(formatKeep(keep))).toEqual(keep);
      }),
    );
  });
});
