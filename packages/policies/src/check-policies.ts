import type { Policy, PolicyAction } from "./policy.js";
import { PolicyError } from "./policy-error.js";

const DEEDS: Readonly<Record<PolicyAction, string>> = {
  drop: "drop tokens",
  merge: "merge tokens",
  "clear-channels": "clear channels",
  quantise: "round numbers",
};

/** @throws {PolicyError} for two policies that do the same at the same time. */
export function checkPolicies(policies: readonly Policy[]): void {
  for (const [index, policy] of policies.entries()) {
    for (const other of policies.slice(0, index)) {
      const time = commonTime(policy, other);
      if (time === undefined) continue;
      const deed = `${DEEDS[policy.action]}${time}`;
      throw new PolicyError(
        `cache policies: ${other.name} and ${policy.name} both ${deed}; name one of them`,
      );
    }
  }
}

/** When two policies do the same, as a message says it. Rounding has no time: a number is rounded once. */
function commonTime(policy: Policy, other: Policy): string | undefined {
  if (policy.action !== other.action) return undefined;
  if (policy.action === "quantise") return "";
  if (policy.afterPrefill && other.afterPrefill) return " after the prompt";
  return policy.afterStep && other.afterStep ? " after each token" : undefined;
}
