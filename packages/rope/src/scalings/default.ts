import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { ScalingRule } from "./scaling-rule.js";

/** RoPE as published (RoFormer, arXiv 2104.09864). */
export const defaultRule: ScalingRule<"default"> = {
  read: () => ({}),
  frequencies: (_, { theta, rotaryDim }) => ({
    inverseFrequencies: geometricFrequencies(theta, rotaryDim),
    attentionScaling: 1,
  }),
};
