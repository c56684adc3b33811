import { expect, it } from "vitest";
import { budgetNames } from "../plan/budget-name.js";
import { budgets } from "./index.js";

it("holds the budgets that plans know by name, the default first", () => {
  expect(budgets.map(({ name }) => name)).toEqual(budgetNames);
});
