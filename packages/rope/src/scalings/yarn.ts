import {
  type ConfigFields,
  readOptionalBoolean,
  readOptionalNonZero,
  readOptionalPositive,
} from "../internal/config-fields.js";
import { geometricFrequencies } from "../internal/geometric-frequencies.js";
import type { RopeGeometry, YarnScaling } from "../rope-parameters.js";
import type { ScalingRule } from "./scaling-rule.js";

/**
 * YaRN (arXiv 2309.00071): fast frequencies stay, slow ones are divided by the factor, and a linear ramp over the
 * frequency index joins them.
 */
export const yarnRule: ScalingRule<"yarn"> = {
  read: ({ fields, readMaxLength, readOriginalLength }) => {
    const originalLength = readOriginalLength();
    const factor = readOptionalPositive(fields, "factor") ?? readMaxLength() / originalLength;
    return {
      factor,
      originalLength,
      betaFast: readOptionalNonZero(fields, "beta_fast") ?? 32,
      betaSlow: readOptionalNonZero(fields, "beta_slow") ?? 1,
      attentionFactor:
        readOptionalPositive(fields, "attention_factor") ?? defaultAttentionFactor(fields, factor),
      truncate: readOptionalBoolean(fields, "truncate") ?? true,
    };
  },
  frequencies: (scaling, geometry) => {
    const { low, high } = rampBounds(scaling, geometry);
    const inverseFrequencies = geometricFrequencies(geometry.theta, geometry.rotaryDim).map(
      (frequency, index) => {
        const interpolated = Math.min(Math.max((index - low) / (high - low), 0), 1);
        return (frequency / scaling.factor) * interpolated + frequency * (1 - interpolated);
      },
    );
    return { inverseFrequencies, attentionScaling: scaling.attentionFactor };
  },
};

/** The ratio of both scales where a config gives both (DeepSeek), else the paper's `0.1 ln(factor) + 1`. */
function defaultAttentionFactor(fields: ConfigFields, factor: number): number {
  const scale = readOptionalNonZero(fields, "mscale");
  const scaleAllDims = readOptionalNonZero(fields, "mscale_all_dim");
  if (scale === undefined || scaleAllDims === undefined) return attentionScale(factor, 1);
  return attentionScale(factor, scale) / attentionScale(factor, scaleAllDims);
}

function attentionScale(factor: number, weight: number): number {
  return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
}

/** Frequency indices between which the ramp runs; the upper one may lie beyond the last index, as in the original. */
function rampBounds(scaling: YarnScaling, { theta, rotaryDim }: RopeGeometry): { low: number; high: number } {
  const indexTurning = (turns: number) =>
    (rotaryDim * Math.log(scaling.originalLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const first = indexTurning(scaling.betaFast);
  const last = indexTurning(scaling.betaSlow);
  const low = Math.max(scaling.truncate ? Math.floor(first) : first, 0);
  const high = Math.min(scaling.truncate ? Math.ceil(last) : last, rotaryDim - 1);
  // A ramp of no width would divide by zero: the original widens it by this much.
  return { low, high: low === high ? high + 0.001 : high };
}
