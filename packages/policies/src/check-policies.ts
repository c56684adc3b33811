import type { Policy } from "./policy.js";
import { PolicyError } from "./policy-error.js";

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
