export { type Budget, pyramidBudget, uniformBudget } from "./budget.js";
export type { HeadView, LayerView } from "./cache-view.js";
export { bestIndices, keepBest } from "./keep-best.js";
export type { PolicyText } from "./options.js";
export { checkPolicies, parsePolicies } from "./parse-policies.js";
export { keydiff } from "./policies/keydiff.js";
export { knorm } from "./policies/knorm.js";
export { random } from "./policies/random.js";
export { pyramidkv, snapkv } from "./policies/snapkv.js";
export { streaming } from "./policies/streaming.js";
export { tova } from "./policies/tova.js";
export type {
  HeadChange,
  LayerBudget,
  LayerChange,
  Policy,
  PolicyAction,
  PolicyNeeds,
  Scorer,
} from "./policy.js";
export { PolicyError } from "./policy-error.js";
export { type PolicyEntry, policyEntries } from "./registry.js";
