import { ConverterError } from "../converter-error.js";
import type { Budget } from "./budget.js";
import { eigenThreshold } from "./eigen-threshold.js";
import { knapsack } from "./knapsack.js";
import { lorcProgressive } from "./lorc-progressive.js";
import { uniform } from "./uniform.js";

export { uniform };

/** All budgets, the default first. */
export const budgets: readonly Budget[] = [uniform, knapsack, lorcProgressive, eigenThreshold];

/**
 * The budget of that name.
 *
 * @throws {ConverterError} `invalid-option` when there is none.
 */
export function findBudget(name: string): Budget {
  const budget = budgets.find((candidate) => candidate.name === name);
  if (budget !== undefined) return budget;
  const known = budgets.map((candidate) => candidate.name).join(", ");
  throw new ConverterError(
    "invalid-option",
    `budget ${JSON.stringify(name)} is unknown; choose one of ${known}`,
  );
}
