import type { AttentionWeights } from "@kvfold/decoder";
import type { Moments } from "@kvfold/linalg";
import { meanTurns, type RopeFrequencies } from "@kvfold/rope";
import { turnMoments } from "../methods/turned-moments.js";

/**
 * Moments of rows that begin with `keyHeads` heads, as a layer's rotation leaves them over all positions: pair j of a head
 * begins again after `chunks[j]` of them.
 */
export function turnedByRope(
  moments: Moments,
  { rope, headDim }: Pick<AttentionWeights, "rope" | "headDim">,
  keyHeads: number,
  { inverseFrequencies }: Pick<RopeFrequencies, "inverseFrequencies">,
  chunks: readonly number[],
): Moments {
  const turns = meanTurns({ frequencies: inverseFrequencies, chunks });
  return turnMoments(moments, { headDim, rotaryDim: rope!.rotaryDim, keyHeads }, turns);
}
