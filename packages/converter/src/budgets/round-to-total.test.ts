import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { roundToTotal } from "./round-to-total.js";

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

describe("roundToTotal", () => {
  it("gives what is left to the largest remainders", () => {
    expect(roundToTotal([1.5, 2.75, 0.75], 5, 8)).toEqual([1, 3, 1]);
  });

  it("leaves whole shares alone, in spite of rounding errors", () => {
    expect(roundToTotal([3 * (1 / 3) - 1e-12, 2], 3, 8)).toEqual([1, 2]);
  });

  it("meets the total, stays within a unit of each share, and keeps their order", () => {
    const share = fc.double({ min: 1, max: 8, noNaN: true });
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 12 }), (unsorted) => {
        const shares = unsorted.toSorted((a, b) => b - a);
        const total = Math.floor(sumOf(shares) + 1e-9);
        const rounded = roundToTotal(shares, total, 8);
        expect(sumOf(rounded)).toBe(total);
        for (const [index, value] of rounded.entries()) {
          expect(Math.abs(value - shares[index]!)).toBeLessThanOrEqual(1);
          expect(value).toBeLessThanOrEqual(rounded[index - 1] ?? 8);
        }
      }),
    );
  });
});
