/** Attention's scores are as many as tokens of a chunk times all tokens before them: behind more than these, chunks shrink. */
const FULL_CHUNKS = 2048;
/** Shorter chunks would cost more runs than they save memory. */
export const SHORTEST_CHUNK = 32;

/** Tokens of a prompt to run at a time behind `past` cached ones: at most `chunk`. */
export function chunkBehind(past: number, chunk: number): number {
  const share = FULL_CHUNKS / Math.max(past + chunk, FULL_CHUNKS);
  return Math.min(chunk, Math.max(SHORTEST_CHUNK, Math.floor(chunk * share)));
}
