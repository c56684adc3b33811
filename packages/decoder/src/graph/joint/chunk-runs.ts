/** Pairs `[start, end)` of a head, next to each other, whose chunks have the same number of slots. */
export interface ChunkRun {
  readonly slots: number;
  readonly start: number;
  readonly end: number;
}

/** The runs of equal chunk sizes, in the order of the pairs: `[2, 2, 8]` gives pairs 0 and 1, then pair 2. */
export function chunkRuns(chunks: readonly number[]): readonly ChunkRun[] {
  const runs: ChunkRun[] = [];
  for (const [pair, slots] of chunks.entries()) {
    const last = runs.at(-1);
    if (last?.slots === slots) runs[runs.length - 1] = { ...last, end: pair + 1 };
    else runs.push({ slots, start: pair, end: pair + 1 });
  }
  return runs;
}
