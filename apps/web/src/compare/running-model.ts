/** A model in a worker of its own, ready to answer. */
export interface RunningModel {
  /** What runs it, and why, in words for the page. */
  readonly provider: string;
  readonly reason: string;
  /** Bytes that the cache holds for one token, as the loaded graph has it. */
  readonly cacheBytesPerToken: number;
  /** Greedy continuation of `prompt`, a token at a time, until `signal` fires. */
  generate(prompt: readonly number[], maxNewTokens: number, signal: AbortSignal): AsyncIterable<number>;
  /** Perplexity of a text of at least two tokens. */
  perplexity(tokens: Int32Array): Promise<number>;
  dispose(): Promise<void>;
}
