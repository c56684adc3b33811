import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { energyShares } from "./energy.js";

describe("energyShares", () => {
  it("sums the largest values, in whatever order they come", () => {
    expect(energyShares([1, 6, 1, 2], [0.25, 0.5, 1])).toEqual([0.6, 0.8, 1]);
    expect(energyShares([1, 6, 1, 2], [0])).toEqual([0]);
  });

  it("grows from 0 to 1 with the fraction, at least as fast as the fraction", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const fractions = values.map((_, index) => (index + 1) / values.length);
        const shares = energyShares(values, fractions);
        for (const [index, share] of shares.entries()) {
          expect(share).toBeGreaterThanOrEqual(fractions[index]! - 1e-12);
          expect(share).toBeGreaterThanOrEqual(shares[index - 1] ?? 0);
        }
        expect(shares.at(-1)).toBe(1);
      }),
    );
  });

  it("takes negative values for rounding errors of zero, and no energy for all of it", () => {
    expect(energyShares([3, 1, -1e-9, 0], [0.25])).toEqual([0.75]);
    expect(energyShares([0, 0], [0.5])).toEqual([1]);
    expect(energyShares([], [0.5])).toEqual([1]);
  });

  it("refuses NaN and fractions outside [0, 1]", () => {
    expect(() => energyShares([1, Number.NaN], [1])).toThrow(/finite values, found NaN/);
    expect(() => energyShares([1], [1.5])).toThrow(/fractions from 0 to 1, found 1.5/);
  });
});
