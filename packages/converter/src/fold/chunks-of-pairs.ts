import type { AttentionWeights } from "@kvfold/decoder";
import { readingGrid } from "@kvfold/decoder/graph";
import { ropeFrequencies } from "@kvfold/rope";
import { type Chunk, turnsWithinChunks } from "../plan/chunk.js";

/** What the chunks of a layer follow from. */
export interface ChunkRule {
  readonly chunk: Chunk;
  /** The longest context in tokens: no chunk needs more slots. */
  readonly maxPositions: number;
}

/**
 * Slots of a chunk for each pair of a head that turns, `[rotaryDim / 2]`, powers of two; none where nothing turns. All 1
 * where rotations cannot be split (`turnsWithinChunks`).
 */
export function chunksOfPairs(
  { rope, headNorm }: Pick<AttentionWeights, "rope" | "headNorm">,
  { chunk, maxPositions }: ChunkRule,
): readonly number[] {
  if (rope === undefined) return [];
  const { inverseFrequencies } = ropeFrequencies(rope);
  if (!turnsWithinChunks({ rope, headNorm })) return Array.from(inverseFrequencies, () => 1);
  const most = 2 ** Math.ceil(Math.log2(maxPositions));
  return Array.from(inverseFrequencies, (frequency) => Math.min(most, slotsFor(frequency, chunk)));
}

/** A chunk of more slots than the runs that it is read in would cost as much, and lose more. */
function slotsFor(frequency: number, chunk: Chunk): number {
  if (typeof chunk === "number") return chunk;
  return readingGrid(chunk.phase / frequency, chunk.least);
}

/** Those of a layer as its plan has them; keys are not turned without a rule. */
export const chunksOfLayer = ({
  attention,
  chunks = { chunk: 1, maxPositions: 1 },
}: {
  readonly attention: Parameters<typeof chunksOfPairs>[0];
  readonly chunks?: ChunkRule | undefined;
}): readonly number[] => chunksOfPairs(attention, chunks);
