import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { progressiveUnits } from "./progressive-units.js";

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const gridOf = (layers: number, full: number, uniform: number) => ({
  full,
  uniform,
  total: layers * uniform,
});

describe("progressiveUnits", () => {
  it("falls evenly with depth where all layers are conditioned alike", () => {
    // The sums from the back are 5, 4, 3, 2, 1, so u = 1, 3/4, 1/2, 1/4, 0.
    expect(progressiveUnits([1, 1, 1, 1, 1], gridOf(5, 16, 10))).toEqual([16, 13, 10, 7, 4]);
    // A last layer of 0 would meet the total: it gets a quarter of the uniform 4 instead.
    expect(progressiveUnits([1, 1, 1, 1, 1], gridOf(5, 16, 4))).toEqual([7, 6, 4, 2, 1]);
  });

  it("gives a badly conditioned layer and all before it more than what follows", () => {
    const [first, second, third, last] = progressiveUnits([0.1, 0.1, 9, 0.1], gridOf(4, 32, 16));
    expect([first! >= second!, second! >= third!, third! > 2 * last!]).toEqual([true, true, true]);
  });

  it("is uniform where there is nothing to tell layers apart", () => {
    expect(progressiveUnits([3], gridOf(1, 8, 2))).toEqual([2]);
    expect(progressiveUnits([0, 0], gridOf(2, 8, 2))).toEqual([2, 2]);
  });

  it("meets the total exactly, and never rises with depth", () => {
    const condition = fc.double({ min: 0, max: 28, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(condition, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 8 }),
        (conditions, uniform, shrink) => {
          const grid = gridOf(conditions.length, uniform * shrink, uniform);
          const units = progressiveUnits(conditions, grid);
          expect(sumOf(units)).toBe(grid.total);
          for (const [layer, count] of units.entries()) {
            expect(count).toBeGreaterThanOrEqual(1);
            expect(count).toBeLessThanOrEqual(units[layer - 1] ?? grid.full);
          }
        },
      ),
    );
  });
});
