import { malformed, readPositive } from "../internal/config-fields.js";
import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { ScalingRule } from "./scaling-rule.js";

/**
 * Llama 3.1: by how often a frequency turns within the original length, it is kept (often), divided by the factor
 * (rarely) or blended linearly between.
 */
export const llama3Rule: ScalingRule<"llama3"> = {
  read: ({ fields, readOriginalLength }) => {
    const lowFrequencyFactor = readPositive(fields, "low_freq_factor");
    const highFrequencyFactor = readPositive(fields, "high_freq_factor");
    if (highFrequencyFactor <= lowFrequencyFactor) {
      throw malformed(
        fields,
        "high_freq_factor",
        `above low_freq_factor (${lowFrequencyFactor})`,
        highFrequencyFactor,
      );
    }
    const factor = readPositive(fields, "factor");
    return { factor, lowFrequencyFactor, highFrequencyFactor, originalLength: readOriginalLength() };
  },
  frequencies: (
    { factor, lowFrequencyFactor, highFrequencyFactor, originalLength },
    { theta, rotaryDim },
  ) => {
    const inverseFrequencies = geometricFrequencies(theta, rotaryDim).map((frequency) => {
      const turns = (originalLength * frequency) / (2 * Math.PI);
      const share = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
      const kept = Math.min(Math.max(share, 0), 1);
      return (1 - kept) * (frequency / factor) + kept * frequency;
    });
    return { inverseFrequencies, attentionScaling: 1 };
  },
};
