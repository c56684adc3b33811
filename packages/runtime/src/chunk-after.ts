/** Attention's scores are as many as tokens of a chunk times all tokens before them: after more than these, chunks shrink. */
const FULL_CHUNKS = 2048;
/** Shorter chunks would cost more runs than they save memory. */
export const SHORTEST_CHUNK = 32;

/** Tokens of a prompt to run at a time after `past` cached ones: at most `chunk`. */
export function chunkAfter(past: number, chunk: number): number {
  const share = FULL_CHUNKS / Math.max(past + chunk, FULL_CHUNKS);
  return Math.min(chunk, Math.max(SHORTEST_CHUNK, Math.floor(chunk * share)));
}

/** Tokens `[start, end)` of a prompt. */
export interface Chunk {
  readonly start: number;
  readonly end: number;
}

/**
 * Chunks of a prompt of `count` tokens after `past` cached ones, of at most `size` tokens. The last has at least `last`, where
 * there are as many and `size` allows: the one before it is shorter then.
 */
export function* chunksAfter(
  past: number,
  count: number,
  { size, last = 0 }: { readonly size: number; readonly last?: number },
): Generator<Chunk> {
  const lastStart = Math.max(0, count - Math.min(last, size));
  for (let start = 0; start < count; ) {
    const next = start + chunkAfter(past + start, size);
    const end = start === lastStart || next >= count ? count : Math.min(next, lastStart);
    yield { start, end };
    start = end;
  }
}
