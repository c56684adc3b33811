import { malformed, readPositive } from "../internal/config-fields.js";
import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { ScalingRule } from "./scaling-rule.js";

/**
 * Dynamic NTK scaling: beyond the original length L0 the base grows with the sequence length L,
 * `theta · (factor · L / L0 - (factor - 1))^(D / (D - 2))`, D = rotary dimension.
 * At D = 2 that exponent has no value, but the single frequency is 1 whatever the base.
 */
export const dynamicRule: ScalingRule<"dynamic"> = {
  read: ({ fields, readMaxLength }) => {
    const factor = readPositive(fields, "factor");
    if (factor < 1) throw malformed(fields, "factor", "at least 1", factor);
    return { factor, originalLength: readMaxLength() };
  },
  frequencies: ({ factor, originalLength }, { theta, rotaryDim }, sequenceLength = originalLength) => {
    const growth = factor * (Math.max(sequenceLength, originalLength) / originalLength) - (factor - 1);
    const base = rotaryDim === 2 ? theta : theta * growth ** (rotaryDim / (rotaryDim - 2));
    return { inverseFrequencies: geometricFrequencies(base, rotaryDim), attentionScaling: 1 };
  },
};
