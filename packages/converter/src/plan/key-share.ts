import { ConverterError } from "../converter-error.js";
import type { Method } from "../methods/method.js";
import { UNIFORM } from "./budget-name.js";
import { parseKeep } from "./keep.js";

/**
 * Reads the share of the cache that keys are to take; `undefined` where it is simply a half.
 *
 * @throws {ConverterError} `invalid-option` when it is not a share, or the method or the budget does not use it.
 */
export function parseKeyShare(
  given: string | number | undefined,
  { method, budget }: { readonly method: Method; readonly budget: string },
): number | undefined {
  if (given === undefined) return undefined;
  const option = "keyShare";
  const { numerator, denominator } = parseKeep(given, option);
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `${option} ${given}: ${reason}; leave it out`, { option });
  };
  if (method.standardShape) refuse(`method ${method.name} keeps whole heads, as many for keys as for values`);
  if (method.joint) refuse(`method ${method.name} keeps keys and values in one latent`);
  if (budget !== UNIFORM) refuse(`budget ${budget} finds the ranks itself`);
  return 2 * numerator === denominator ? undefined : numerator / denominator;
}
