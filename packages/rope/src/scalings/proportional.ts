import { malformed, readOptionalPositive } from "../internal/config-fields.js";
import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { ScalingRule } from "./scaling-rule.js";

/**
 * Proportional RoPE (Gemma 4): the whole head is paired up, but only the first share of the frequencies turns;
 * the others are 0. Unlike partial rotary, exponents count over the head and pairs reach across it.
 */
export const proportionalRule: ScalingRule<"proportional"> = {
  read: ({ fields, geometry }) => {
    const share = readOptionalPositive(fields, "partial_rotary_factor") ?? 1;
    if (share > 1) throw malformed(fields, "partial_rotary_factor", "at most 1", share);
    return {
      factor: readOptionalPositive(fields, "factor") ?? 1,
      rotatedFrequencyCount: Math.floor((share * geometry.headDim) / 2),
    };
  },
  frequencies: ({ factor, rotatedFrequencyCount }, { theta, headDim }) => {
    const inverseFrequencies = new Float64Array(headDim / 2);
    inverseFrequencies.set(
      geometricFrequencies(theta, headDim, rotatedFrequencyCount).map((frequency) => frequency / factor),
    );
    return { inverseFrequencies, attentionScaling: 1 };
  },
};
