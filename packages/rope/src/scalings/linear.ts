import { readPositive } from "../internal/config-fields.js";
import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { ScalingRule } from "./scaling-rule.js";

/** Position interpolation (arXiv 2306.15595): every position, hence every frequency, divided by the factor. */
export const linearRule: ScalingRule<"linear"> = {
  read: ({ fields }) => ({ factor: readPositive(fields, "factor") }),
  frequencies: ({ factor }, { theta, rotaryDim }) => ({
    inverseFrequencies: geometricFrequencies(theta, rotaryDim).map((frequency) => frequency / factor),
    attentionScaling: 1,
  }),
};
