import type { CachePrecision, Policy } from "@kvfold/policies/check";
import { RuntimeError } from "./runtime-error.js";

/**
 * @param caller - What errors begin with: `createState`.
 * @param held - What the graph's cache counts as being kept in; nothing for floats.
 * @throws {RuntimeError} `invalid-argument` for policies that ask for other bits than the graph has, or round numbers that it
 *   rounds.
 */
export function checkStored(
  caller: string,
  policies: readonly Policy[],
  held: readonly CachePrecision[],
): void {
  for (const { name, action, stores } of policies) {
    if (stores !== undefined && !held.includes(stores))
      throw refusal(
        caller,
        `expected a graph whose cache is ${stores} (model_policy_${stores}.onnx), found one with ${held[0] ?? "floats"}: load that one; if there is none, fold again with cacheBits ${stores.slice(3)}`,
      );
    if (action === "quantise" && stores === undefined && held.length > 0)
      throw refusal(
        caller,
        `expected no policy that rounds numbers on a cache that is kept in ${held[0]}, found ${name}: leave it out, or load the policy graph with floats`,
      );
  }
}

const refusal = (caller: string, problem: string): RuntimeError =>
  new RuntimeError("invalid-argument", `${caller}: ${problem}`);
