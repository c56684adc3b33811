import { parsePolicyText } from "./options.js";
import type { Policy } from "./policy.js";
import { PolicyError } from "./policy-error.js";
import { type PolicyEntry, policyEntries } from "./registry.js";

/**
 * Reads policies as they are named in one line: `keydiff:0.5` or `keydiff:0.5,think:0.4`. An amount is the share of tokens
 * that go, or with a `t` behind it the number of tokens that stay; options follow as `name=value`.
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

/** @throws {PolicyError} for two policies that do the same at the same time. */
export function checkPolicies(policies: readonly Policy[]): void {
  for (const [index, policy] of policies.entries()) {
    for (const other of policies.slice(0, index)) {
      const when = (["afterPrefill", "afterStep"] as const).find((time) => policy[time] && other[time]);
      if (when === undefined || policy.action !== other.action) continue;
      const what = {
        drop: "drop tokens",
        merge: "merge tokens",
        "clear-channels": "clear channels",
        quantise: "round numbers",
      };
      const time = when === "afterPrefill" ? "after the prompt" : "after each token";
      throw new PolicyError(
        `cache policies: ${other.name} and ${policy.name} both ${what[policy.action]} ${time}; name one of them`,
      );
    }
  }
}
