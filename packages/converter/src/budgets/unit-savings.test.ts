import { expect, it } from "vitest";
import type { LayerPlan } from "../plan/fold-plan.js";
import { unitSavings, unitsByGreatestSavings } from "./unit-savings.js";

/** Two groups of heads; a unit is two numbers of keys and two of values in each. */
const side = (rank: number) => ({ span: 2, heads: 2, rank });
const grid = {
  full: 2,
  layer: (units: number): LayerPlan => ({ keys: side(2 * units), values: side(2 * units) }),
};

it("adds up what the numbers of a unit save in all groups, over the stream's power", () => {
  const groups = [Float64Array.of(8, 4, 2, 2, 1, 1, 0, 0), Float64Array.of(4, 0, 0, 0, 0, 0, 0, 0)];
  expect(unitSavings(groups, grid, 10)).toEqual(Float64Array.of(2, 0.2));
  expect(unitSavings(groups, grid, 0)).toEqual(Float64Array.of(0, 0));
});

it("gives each further unit to the layer where it saves most", () => {
  const layers = [Float64Array.of(9, 8, 7, 0), Float64Array.of(9, 5, 1, 0), Float64Array.of(9, 6, 2, 0)];
  const shared = { full: 4, uniform: 2, total: 6 };
  expect(unitsByGreatestSavings(layers, shared)).toEqual([3, 1, 2]);
});

it("leaves each layer a quarter of the uniform rank, and no layer more than it has", () => {
  const layers = [Float64Array.of(5, 5, 5, 5, 5, 5, 5, 5), new Float64Array(8)];
  expect(unitsByGreatestSavings(layers, { full: 8, uniform: 4, total: 8 })).toEqual([7, 1]);
  expect(unitsByGreatestSavings(layers, { full: 8, uniform: 7, total: 14 })).toEqual([8, 6]);
});
