import { requireCounts } from "./head-rows.js";

export declare namespace streamingLlmScores {
  interface Options {
    readonly tokens: number;
    /** First tokens that always stay. Default 4, the paper's. */
    readonly sinks?: number | undefined;
  }
}

/**
 * Scores of StreamingLLM: the first `sinks` tokens stay, and of the others the newest. Whatever number of tokens is kept, the
 * highest scores are the sinks and a window of the latest tokens.
 *
 * Source: Xiao et al., "Efficient Streaming Language Models with Attention Sinks", arXiv 2309.17453. The paper gives kept keys
 * new positions, without gaps; that is up to the caller. kvpress keeps the old ones.
 *
 * Numerics: small integers, exact. With fewer tokens than sinks, all are sinks, and the earlier ones score higher.
 *
 * @returns `[T]`, the same for every head; higher stays.
 * @throws {PolicyError} when `tokens` is not a positive integer.
 * @example
 * ```ts
 * import { bestIndices, streamingLlmScores } from "@kvfold/policies";
 * Array.from(bestIndices(streamingLlmScores({ tokens: 10, sinks: 2 }), 5)) // => [0, 1, 7, 8, 9]
 * ```
 */
export function streamingLlmScores({ tokens, sinks = 4 }: streamingLlmScores.Options): Float32Array {
  requireCounts("streamingLlmScores", { tokens });
  return Float32Array.from({ length: tokens }, (_, token) => (token < sinks ? 2 * tokens - token : token));
}
