import { ConverterError } from "../converter-error.js";

/** A budget by its name, or your own. A plan holds only names, and `allocateBudget` finds what they stand for. */
export type BudgetChoice = string | { readonly name: string };

/** The budget that gives every layer the same rank. */
export const UNIFORM = "uniform";

/** Names of the budgets of this package, the default first. */
export const budgetNames: readonly string[] = [
  UNIFORM,
  "power",
  "knapsack",
  "lorc-progressive",
  "eigen-threshold",
];

/**
 * The name of a budget.
 *
 * @throws {ConverterError} `invalid-option` for a name that is not one of `budgetNames`.
 */
export function budgetName(choice: BudgetChoice): string {
  if (typeof choice !== "string") return choice.name;
  if (budgetNames.includes(choice)) return choice;
  throw new ConverterError(
    "invalid-option",
    `budget ${JSON.stringify(choice)} is unknown; choose one of ${budgetNames.join(", ")}, or give your own`,
    { option: "budget" },
  );
}
