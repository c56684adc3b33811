import { type RopeParameters, ropeFrequencies } from "@kvfold/rope";
import { float32, type Metadata, text, uint32 } from "./metadata.js";

/**
 * RoPE of a model as llama.cpp's metadata states it, keys without the architecture in front. Llama 3.1's scaling has no
 * keys: it is a tensor, `frequencyFactors`.
 */
export function ropeMetadata(rope: RopeParameters): Metadata {
  return {
    "rope.dimension_count": uint32(rope.rotaryDim),
    "rope.freq_base": float32(rope.theta),
    ...scalingMetadata(rope),
  };
}

function scalingMetadata(rope: RopeParameters): Metadata {
  if (rope.ropeType === "linear")
    return { "rope.scaling.type": text("linear"), "rope.scaling.factor": float32(rope.scaling.factor) };
  if (rope.ropeType !== "yarn") return {};
  const { factor, originalLength, betaFast, betaSlow, attentionFactor } = rope.scaling;
  return {
    "rope.scaling.type": text("yarn"),
    "rope.scaling.factor": float32(factor),
    "rope.scaling.original_context_length": uint32(originalLength),
    // llama.cpp multiplies this by what the YaRN paper recommends.
    "rope.scaling.attn_factor": float32(attentionFactor / recommendedAttentionFactor(factor)),
    "rope.scaling.yarn_beta_fast": float32(betaFast),
    "rope.scaling.yarn_beta_slow": float32(betaSlow),
  };
}

/** `sqrt(1/t)` of the YaRN paper (Peng et al. 2023, arXiv 2309.00071, equation 22). */
const recommendedAttentionFactor = (factor: number): number => 0.1 * Math.log(factor) + 1;

/** What the frequencies of an unscaled rotation are divided by, `[rotaryDim / 2]`; `undefined` where keys say it all. */
export function frequencyFactors(rope: RopeParameters): Float32Array | undefined {
  if (rope.ropeType !== "llama3") return undefined;
  const { headDim, rotaryDim, theta } = rope;
  const plain = ropeFrequencies({ headDim, rotaryDim, theta, ropeType: "default", scaling: {} });
  const { inverseFrequencies } = ropeFrequencies(rope);
  return Float32Array.from(inverseFrequencies, (scaled, index) => plain.inverseFrequencies[index]! / scaled);
}
