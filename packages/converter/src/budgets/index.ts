import { findNamed } from "../find-named.js";
import type { Budget } from "./budget.js";
import { eigenThreshold } from "./eigen-threshold.js";
import { knapsack } from "./knapsack.js";
import { lorcProgressive } from "./lorc-progressive.js";
import { power } from "./power.js";
import { uniform } from "./uniform.js";

/** All budgets, the default first: those of `budgetNames`. */
export const budgets: readonly Budget[] = [uniform, power, knapsack, lorcProgressive, eigenThreshold];

/**
 * The budget of that name, among those of this package and `others`.
 *
 * @throws {ConverterError} `invalid-option` when there is none, or when one of `others` takes the name of another.
 */
export const findBudget = (name: string, others: readonly Budget[] = []): Budget =>
  findNamed("budget", budgets, name, others);
