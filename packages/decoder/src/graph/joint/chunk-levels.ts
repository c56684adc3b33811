import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { PairRange } from "./emit-turns.js";

/** Pairs whose queries are turned once for each run of `grid` slots, a divisor of all their chunks. */
export interface ChunkLevel extends PairRange {
  readonly grid: number;
  /** Slots of a chunk, for each of the pairs. */
  readonly chunks: readonly number[];
}

/** Grids grow by this from level to level: the sums of closer levels would cost more than they save. */
const GRID_STEP = 4;

/**
 * Chunks of more slots are read in runs of this many: what is saved beyond is less than a level costs. A cache that is
 * padded to a multiple of it is one of whole runs on every level.
 */
export const LARGEST_GRID = 64;

/**
 * The levels of a layer's chunks, large grids first. Grids are powers of two, as chunks are, so the runs of each level
 * begin and end with runs of the next.
 */
export function chunkLevels(chunks: readonly number[]): readonly ChunkLevel[] {
  const smallest = Math.min(LARGEST_GRID, ...chunks);
  const levels: ChunkLevel[] = [];
  for (const [pair, slots] of chunks.entries()) {
    const grid = readingGrid(slots, smallest);
    const last = levels.at(-1);
    if (last?.grid === grid)
      levels[levels.length - 1] = { ...last, end: pair + 1, chunks: [...last.chunks, slots] };
    else levels.push({ grid, start: pair, end: pair + 1, chunks: [slots] });
  }
  return levels.sort((a, b) => b.grid - a.grid);
}

/**
 * Slots of the runs that chunks of `slots` are read in, beside chunks of `smallest` slots: the largest of `smallest`,
 * `4 smallest`, `16 smallest`, … that is no larger than a chunk and than `LARGEST_GRID`.
 */
export function readingGrid(slots: number, smallest: number): number {
  let grid = smallest;
  while (grid * GRID_STEP <= Math.min(slots, LARGEST_GRID)) grid *= GRID_STEP;
  return grid;
}

/** How the chunks of a layer are read. */
export interface Reading {
  /** None in a layer without rotation, which has one endless chunk. */
  readonly levels: readonly ChunkLevel[];
  /** Slots of the shortest runs. */
  readonly finest: number | undefined;
  /** Slots that the cache is a multiple of, so that all grids divide it. */
  readonly padding: number;
}

export function readingOf(
  { rope }: Pick<AttentionWeights, "rope">,
  { chunks }: Pick<JointLatent, "chunks">,
): Reading {
  const levels = rope === undefined ? [] : chunkLevels(chunks);
  return {
    levels,
    finest: levels.at(-1)?.grid,
    padding: Math.max(1, ...levels.map(({ grid }) => grid)),
  };
}
