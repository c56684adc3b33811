import { PolicyError } from "../policy-error.js";
import { bestIndices } from "./best-indices.js";
import { requireCounts } from "./head-rows.js";

/** What the scores of a chunk's tokens come to. */
export type ChunkScore = (scores: Float32Array) => number;

/** The mean of a chunk, as ChunkKV takes it. */
export const meanOfChunk: ChunkScore = (scores) =>
  scores.reduce((sum, score) => sum + score, 0) / scores.length;

/** The best token of a chunk: one token that matters keeps its neighbours. */
export const maxOfChunk: ChunkScore = (scores) =>
  scores.reduce((peak, score) => Math.max(peak, score), Number.NEGATIVE_INFINITY);

/**
 * Scores of whole chunks of one head, for caches whose tokens cannot go one by one: an anchored latent is turned by its
 * offset in its chunk, so a chunk stays or goes as a whole.
 *
 * Source: ChunkKV, arXiv 2502.00299, for the mean.
 *
 * @param scores - `[T]`; slot 0 begins a chunk. A last chunk may be shorter.
 * @returns `[ceil(T / chunk)]`; higher stays.
 * @throws {PolicyError} when `chunk` is not a positive integer.
 * @example
 * ```ts
 * import { chunkScores, maxOfChunk } from "@kvfold/policies";
 * Array.from(chunkScores(Float32Array.of(1, 5, 2, 3, 4), 2, maxOfChunk)) // => [5, 3, 4]
 * ```
 */
export function chunkScores(
  scores: Float32Array,
  chunk: number,
  score: ChunkScore = meanOfChunk,
): Float32Array {
  requireCounts("chunkScores", { chunk });
  return Float32Array.from({ length: Math.ceil(scores.length / chunk) }, (_, index) =>
    score(scores.subarray(index * chunk, (index + 1) * chunk)),
  );
}

export declare namespace highestChunks {
  interface Options {
    /** `[T]`, of one head. */
    readonly scores: Float32Array;
    /** Tokens of a chunk. */
    readonly chunk: number;
    /** Most tokens to keep. */
    readonly count: number;
    /** Default `meanOfChunk`. */
    readonly score?: ChunkScore | undefined;
  }
}

/**
 * The tokens of the best whole chunks that fit into `count`. Tokens after the last whole chunk stay, since theirs still
 * grows, and count; so up to `chunk - 1` tokens fewer than `count` are kept, and more only where these alone are more.
 *
 * Numerics: comparisons of float32 scores; of equal chunks the earlier stay.
 *
 * @returns Slots that stay, ascending.
 * @throws {PolicyError} when `chunk` is not a positive integer, or `count` is not between 0 and `T`.
 * @example
 * ```ts
 * import { highestChunks } from "@kvfold/policies";
 * const scores = Float32Array.of(1, 1, 3, 3, 2, 2, 0);
 * Array.from(highestChunks({ scores, chunk: 2, count: 4 })) // => [2, 3, 6]
 * ```
 */
export function highestChunks({ scores, chunk, count, score }: highestChunks.Options): Int32Array {
  requireTokens(scores.length, count);
  const whole = scores.length - (scores.length % chunk);
  const ofChunks = chunkScores(scores.subarray(0, whole), chunk, score);
  const best = bestIndices(ofChunks, Math.floor((count - (scores.length - whole)) / chunk));
  const kept = new Int32Array(best.length * chunk + scores.length - whole);
  for (const [index, start] of [...best].entries()) {
    for (let offset = 0; offset < chunk; offset++) kept[index * chunk + offset] = start * chunk + offset;
  }
  for (let slot = whole; slot < scores.length; slot++) kept[best.length * chunk + slot - whole] = slot;
  return kept;
}

function requireTokens(tokens: number, count: number): void {
  if (Number.isInteger(count) && count >= 0 && count <= tokens) return;
  throw new PolicyError(`highestChunks: expected a count of 0 to ${tokens} tokens, found ${count}`);
}
