import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import { chunkLevels } from "./chunk-levels.js";

/**
 * Whether turning a query to each run of slots costs less than expanding the keys of these: both are products of `r` times
 * so many numbers a token. Keys that are normalised after the rotation can only be expanded.
 */
export function readsAnchored(
  { heads, kvHeads, headDim, headNorm, keyNorm, rope }: AttentionWeights,
  { chunks }: Pick<JointLatent, "chunks">,
): boolean {
  if (headNorm === "after-rotation" && keyNorm !== undefined) return false;
  if (rope === undefined) return true;
  const perToken = chunkLevels(chunks).reduce(
    (sum, { grid, start, end }) => sum + (2 * (end - start)) / grid,
    0,
  );
  return heads * perToken < kvHeads * headDim;
}
