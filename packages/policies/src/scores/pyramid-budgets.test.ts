import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pyramidBudgets } from "./pyramid-budgets.js";

describe("pyramidBudgets", () => {
  it("falls from 2 B - B / beta to B / beta, beside the window", () => {
    // B = 120 and beta = 20: 234, 177, 120, 63 and 6.
    expect(pyramidBudgets({ tokens: 1000, layers: 5, kept: 128, window: 8 })).toEqual([
      242, 185, 128, 71, 14,
    ]);
  });

  it("adds up where the slope is no whole number", () => {
    // The authors' code keeps 133.5 of the 128 tokens that this asks for.
    const budgets = pyramidBudgets({ tokens: 4000, layers: 32, kept: 128, window: 8 });
    expect(budgets.reduce((sum, budget) => sum + budget, 0)).toBe(32 * 128);
    expect([budgets[0], budgets[31]]).toEqual([242, 14]);
  });

  it("keeps the pyramid where kvpress drops it or where the first layer would exceed the text", () => {
    expect(pyramidBudgets({ tokens: 1000, layers: 2, kept: 100 })).toEqual([165, 35]);
    expect(pyramidBudgets({ tokens: 100, layers: 3, kept: 90, window: 10 })).toEqual([100, 90, 80]);
  });

  it("meets every budget, falls, and stays between the window and the text", () => {
    const options = fc.record({
      tokens: fc.integer({ min: 1, max: 500 }),
      layers: fc.integer({ min: 1, max: 12 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      window: fc.integer({ min: 1, max: 40 }),
      beta: fc.double({ min: 1, max: 50, noNaN: true }),
    });
    fc.assert(
      fc.property(options, ({ tokens, layers, share, window, beta }) => {
        const kept = Math.max(1, Math.floor(tokens * share));
        const budgets = pyramidBudgets({ tokens, layers, kept, window, beta });
        expect(budgets.reduce((sum, budget) => sum + budget, 0)).toBe(layers * kept);
        expect(budgets.every((budget) => budget <= tokens && budget >= Math.min(kept, window))).toBe(true);
        expect(budgets.slice(1).every((budget, layer) => budget <= budgets[layer]!)).toBe(true);
      }),
    );
  });

  it("refuses to keep more than there is", () => {
    expect(() => pyramidBudgets({ tokens: 10, layers: 2, kept: 11 })).toThrow(
      "at most all 10 tokens, found 11",
    );
  });
});
