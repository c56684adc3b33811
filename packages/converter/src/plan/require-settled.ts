import { ConverterError } from "../converter-error.js";
import type { FoldPlan } from "./fold-plan.js";

/**
 * Refuses a plan whose layers are not yet those of its budget.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireSettled({ budget, settled }: FoldPlan): void {
  if (settled) return;
  throw new ConverterError(
    "invalid-option",
    `budget ${budget}: the plan's layers are not settled yet; pass it through allocateBudget first`,
  );
}
