/** What a runtime needs of policies that it is given, without any policy and without linear algebra. */
export { checkPolicies } from "./check-policies.js";
export { keptIndices, otherIndices } from "./kept-indices.js";
export type { CachePrecision, Policy, PolicyNeeds } from "./policy.js";
export { PolicyError } from "./policy-error.js";
