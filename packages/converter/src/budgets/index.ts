import { findNamed } from "../find-named.js";
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
export const findBudget = (name: string): Budget => findNamed("budget", budgets, name);
