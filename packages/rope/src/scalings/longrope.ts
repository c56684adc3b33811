import { readOptionalPositive, readPositives } from "../internal/config-fields.js";
import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { ScalingRule } from "./scaling-rule.js";

/** LongRoPE (arXiv 2402.13753): searched divisors, one per frequency, one list for short and one for long sequences. */
export const longropeRule: ScalingRule<"longrope"> = {
  read: ({ fields, geometry, readMaxLength, readOriginalLength }) => {
    const originalLength = readOriginalLength();
    const attentionFactor = readOptionalPositive(fields, "attention_factor");
    const factor = () => readOptionalPositive(fields, "factor") ?? readMaxLength() / originalLength;
    return {
      shortFactor: readPositives(fields, "short_factor", geometry.rotaryDim / 2),
      longFactor: readPositives(fields, "long_factor", geometry.rotaryDim / 2),
      originalLength,
      attentionFactor: attentionFactor ?? defaultAttentionFactor(factor(), originalLength),
    };
  },
  frequencies: (scaling, { theta, rotaryDim }, sequenceLength = 0) => {
    const divisors = sequenceLength > scaling.originalLength ? scaling.longFactor : scaling.shortFactor;
    return {
      inverseFrequencies: geometricFrequencies(theta, rotaryDim).map(
        (frequency, index) => frequency / divisors[index]!,
      ),
      attentionScaling: scaling.attentionFactor,
    };
  },
};

/** `sqrt(1 + ln(factor) / ln(originalLength))` (arXiv 2402.13753). */
function defaultAttentionFactor(factor: number, originalLength: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalLength));
}
