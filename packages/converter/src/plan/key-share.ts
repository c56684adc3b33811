import type { Budget } from "../budgets/budget.js";
import { uniform } from "../budgets/index.js";
import { ConverterError } from "../converter-error.js";
import type { Method, SpanContext } from "../methods/method.js";
import { parseKeep } from "./keep.js";

interface Sharing {
  readonly method: Method;
  readonly budget: Budget;
  readonly context: SpanContext;
}

/**
 * The share of the cache that keys take, where it is not simply a half. Budgets begin with halves.
 *
 * @throws {ConverterError} `invalid-option` when a share is given that the method or the budget has no use for.
 */
export function findKeyShare(
  given: string | undefined,
  { method, budget, context }: Sharing,
): number | undefined {
  if (given === undefined) return budget === uniform ? method.keyShare?.(context) : undefined;
  const { numerator, denominator } = parseKeep(given, "--key-share");
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `--key-share ${given}: ${reason}; leave it out`);
  };
  if (budget !== uniform) refuse(`--budget ${budget.name} finds the ranks itself`);
  if (method.standardShape) refuse(`method ${method.name} keeps whole heads, as many for keys as for values`);
  return numerator / denominator;
}
