import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Choice, cheapestChoices } from "./cheapest-choices.js";

const sum = (choices: readonly Choice[], of: keyof Choice) =>
  choices.reduce((total, choice) => total + choice[of], 0);

/** Every way to choose, the naive way. */
const combinations = (layers: readonly (readonly Choice[])[]): readonly (readonly Choice[])[] =>
  layers.reduce<readonly (readonly Choice[])[]>(
    (all, choices) => all.flatMap((chosen) => choices.map((choice) => [...chosen, choice])),
    [[]],
  );

const choice = fc.record({ units: fc.integer({ min: 1, max: 6 }), damage: fc.integer({ min: 0, max: 40 }) });
const tables = fc.array(fc.array(choice, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 });

describe("cheapestChoices", () => {
  it("gives most to the layer that needs it", async () => {
    const table = (weight: number) => [1, 2, 3].map((units) => ({ units, damage: weight / units }));
    const chosen = await cheapestChoices([table(1), table(30), table(1)], 5);
    expect(chosen.map(({ units }) => units)).toEqual([1, 3, 1]);
  });

  it("is as cheap as the best of all combinations, and uses most units among equals", async () => {
    await fc.assert(
      fc.asyncProperty(tables, fc.nat({ max: 24 }), async (layers, room) => {
        const total = room + layers.length * 6;
        const chosen = await cheapestChoices(layers, total);
        const fitting = combinations(layers).filter((one) => sum(one, "units") <= total);
        const least = Math.min(...fitting.map((one) => sum(one, "damage")));
        const equals = fitting.filter((one) => sum(one, "damage") === least);
        expect(sum(chosen, "damage")).toBe(least);
        expect(sum(chosen, "units")).toBe(Math.max(...equals.map((one) => sum(one, "units"))));
      }),
    );
  });

  it("never exceeds a total that only just suffices", async () => {
    await fc.assert(
      fc.asyncProperty(tables, fc.nat({ max: 6 }), async (layers, room) => {
        const smallest = layers.map((choices) => Math.min(...choices.map(({ units }) => units)));
        const total = smallest.reduce((all, units) => all + units, 0) + room;
        const chosen = await cheapestChoices(layers, total);
        const fitting = combinations(layers).filter((one) => sum(one, "units") <= total);
        expect(sum(chosen, "units")).toBeLessThanOrEqual(total);
        expect(sum(chosen, "damage")).toBe(Math.min(...fitting.map((one) => sum(one, "damage"))));
      }),
    );
  });

  it("says so when nothing fits", async () => {
    await expect(cheapestChoices([[{ units: 3, damage: 0 }]], 2)).rejects.toThrow(RangeError);
  });

  it("lets other work go on, and stops when it is aborted", async () => {
    const choices = Array.from({ length: 2048 }, (_, units) => ({
      units: units + 1,
      damage: 1 / (units + 1),
    }));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    // 9e9 steps: half a minute if nothing stopped it.
    const choosing = cheapestChoices(Array(64).fill(choices), 65536, controller.signal);
    await expect(choosing).rejects.toMatchObject({ code: "aborted" });
  });
});
