import type { RopeType } from "../rope-parameters.js";
import { defaultRule } from "./default.js";
import { dynamicRule } from "./dynamic.js";
import { linearRule } from "./linear.js";
import { llama3Rule } from "./llama3.js";
import { longropeRule } from "./longrope.js";
import { proportionalRule } from "./proportional.js";
import type { ScalingRule } from "./scaling-rule.js";
import { yarnRule } from "./yarn.js";

/** Every rope type and its rule. Adding a scaling is adding a file and a line here. */
export const scalingRules: { readonly [T in RopeType]: ScalingRule<T> } = {
  default: defaultRule,
  linear: linearRule,
  dynamic: dynamicRule,
  proportional: proportionalRule,
  yarn: yarnRule,
  longrope: longropeRule,
  llama3: llama3Rule,
};
