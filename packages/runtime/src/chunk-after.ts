/** Attention's scores are as many as tokens of a chunk times all tokens before them: after more than these, chunks shrink. */
const FULL_CHUNKS = 2048;
/** Shorter chunks would cost more runs than they save memory. */
export const SHORTEST_CHUNK = 32;

/** Tokens of a prompt to run at a time after `past` cached ones: at most `chunk`. */
export function chunkAfter(past: number, chunk: number): number {
  const share = FULL_CHUNKS / Math.max(past + chunk, FULL_CHUNKS);
  return Math.min(chunk, Math.max(SHORTEST_CHUNK, Math.floor(chunk * share)));
}

/** Chunks of graphs that bound their scores grow to this many times their size: twice as much memory for hidden states. */
const MOST_SIZES = 2;
/** They are this part of the tokens before them: all queries of a chunk are scored against all of it, those ahead included. */
const SHARE_OF_PAST = 8;

/**
 * The same for a graph that attends in blocks: at least `chunk` tokens, and up to twice as many. What it does once for each
 * chunk with all tokens before, such as expanding latents, then costs less than attending to them.
 */
export const blockedChunkAfter = (past: number, chunk: number): number =>
  Math.min(MOST_SIZES * chunk, Math.max(chunk, Math.floor(past / SHARE_OF_PAST)));

/** Tokens `[start, end)` of a prompt. */
export interface Chunk {
  readonly start: number;
  readonly end: number;
}

/** How a prompt is cut. */
export interface ChunkSizes {
  readonly size: number;
  /** Tokens that the last chunk has at least. */
  readonly last?: number;
  /** Whether the graph attends to a block of queries at a time. */
  readonly inBlocks?: boolean | undefined;
}

/**
 * Chunks of a prompt of `count` tokens after `past` cached ones, of at most `size` tokens, or twice as many in blocks. The last
 * has at least `last`, where there are as many and `size` allows: the one before it is shorter then.
 */
export function* chunksAfter(
  past: number,
  count: number,
  { size, last = 0, inBlocks = false }: ChunkSizes,
): Generator<Chunk> {
  const lengthAfter = inBlocks ? blockedChunkAfter : chunkAfter;
  const lastStart = Math.max(0, count - Math.min(last, size));
  for (let start = 0; start < count; ) {
    const next = start + lengthAfter(past + start, size);
    const end = start === lastStart || next >= count ? count : Math.min(next, lastStart);
    yield { start, end };
    start = end;
  }
}
