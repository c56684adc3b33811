import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { descend, type Ladder, unitsUnderErrorBudget } from "./error-budget.js";

const FULL = 12;
const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** Ladders from the whole layer to one unit, with errors that need not rise at every rung. */
const ladders = fc
  .array(
    fc.record({
      units: fc.uniqueArray(fc.integer({ min: 2, max: FULL - 1 }), { maxLength: 6 }),
      errors: fc.array(fc.double({ min: 1e-6, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((layers) =>
    layers.map(({ units, errors }): Ladder => {
      const measured = [...units.toSorted((a, b) => b - a), 1];
      return [
        { units: FULL, error: 0 },
        ...measured.map((count, index) => ({ units: count, error: errors[index]! })),
      ];
    }),
  );

describe("descend", () => {
  const ladder = [
    { units: 8, error: 0 },
    { units: 6, error: 0.01 },
    { units: 5, error: 0.03 },
    { units: 3, error: 0.02 },
  ];

  it.each([
    [0.005, 8],
    [0.01, 8],
    [0.025, 6],
    [0.03, 6],
    [0.031, 3],
    [1, 3],
  ])("with a budget of %d ends at %d units", (budget, units) => {
    expect(descend(ladder, budget).units).toBe(units);
  });

  it("obeys the budget at every rung that it passes", () => {
    fc.assert(
      fc.property(ladders, fc.double({ min: 1e-6, max: 1, noNaN: true }), ([first], budget) => {
        const { units } = descend(first!, budget);
        const passed = first!.filter((rung) => rung.units >= units);
        expect(passed.every(({ error }) => error < budget)).toBe(true);
        const next = first![passed.length];
        expect(next === undefined || next.error >= budget).toBe(true);
      }),
    );
  });
});

describe("unitsUnderErrorBudget", () => {
  it("gives layers with larger errors more", () => {
    const ladder = (scale: number): Ladder =>
      [8, 6, 4, 2, 1].map((units) => ({ units, error: scale * (8 - units) }));
    // A budget just above 6 gives 2 and 6; at two errors of 6 one unit goes to each.
    const [tame, wild] = unitsUnderErrorBudget([ladder(1), ladder(3)], { full: 8, total: 10 });
    expect([tame, wild]).toEqual([3, 7]);
  });

  it("keeps everything whole where the total allows it", () => {
    const ladder: Ladder = [
      { units: 4, error: 0 },
      { units: 1, error: 0.5 },
    ];
    expect(unitsUnderErrorBudget([ladder, ladder], { full: 4, total: 8 })).toEqual([4, 4]);
  });

  it("meets the total exactly, under one error budget that no smaller one could", () => {
    fc.assert(
      fc.property(ladders, fc.integer({ min: 1, max: FULL }), (layers, uniform) => {
        const total = layers.length * uniform;
        const units = unitsUnderErrorBudget(layers, { full: FULL, total });
        expect(sumOf(units)).toBe(total);
        const allowed = [...new Set(layers.flat().map(({ error }) => error))].toSorted((a, b) => a - b);
        // The budget just above each error that occurs: all that can make a difference.
        const reached = allowed
          .map((error) => layers.map((ladder) => descend(ladder, error + 1e-9).units))
          .find((rungs) => sumOf(rungs) <= total)!;
        for (const [layer, count] of units.entries()) expect(count).toBeGreaterThanOrEqual(reached[layer]!);
      }),
    );
  });
});
