import { checkPolicies } from "./check-policies.js";
import { parsePolicyText } from "./options.js";
import type { Policy } from "./policy.js";
import { PolicyError } from "./policy-error.js";
import { type PolicyEntry, policyEntries } from "./registry.js";

/**
 * Reads policies as they are named in one line: `keydiff:0.5` or `keydiff:0.5,think:0.4`. An amount is the share of tokens
 * that go, or with a `t` after it the number of tokens that stay; options follow as `name=value`.
 *
 * @param entries - The policies to choose from, those of kvfold unless given.
 * @throws {PolicyError} for an unknown policy, an amount or option that is out of range, and policies that do not go together.
 *
 * @example
 * ```ts
 * import { parsePolicies } from "@kvfold/policies";
 *
 * parsePolicies("streaming:512t:sinks=2").map(({ name }) => name) // => ["streaming:512t:sinks=2"]
 * ```
 */
export function parsePolicies(
  text: string,
  entries: readonly PolicyEntry[] = policyEntries,
): readonly Policy[] {
  const policies = text.split(",").map((part) => {
    const parts = parsePolicyText(part);
    const entry = entries.find(({ name }) => name === parts.name);
    if (entry !== undefined) return entry.create(parts);
    const names = entries.map(({ name }) => name).join(", ");
    throw new PolicyError(`cache policies: expected ${names}, found ${parts.name || "nothing"}`);
  });
  checkPolicies(policies);
  return policies;
}
