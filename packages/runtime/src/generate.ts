import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import type { DecodingState } from "./decoding-state.js";
import { type FinishReason, type Generation, toGeneration } from "./generation.js";
import { createRandom } from "./random.js";
import { RuntimeError } from "./runtime-error.js";
import { sampleToken } from "./sampling.js";

/** Tokens that are generated at most unless said otherwise. */
export const DEFAULT_NEW_TOKENS = 256;

export declare namespace generate {
  interface Options extends sampleToken.Options {
    readonly maxNewTokens?: number;
    /** 0, the default here, is greedy. */
    readonly temperature?: number | undefined;
    /** Start of the random numbers; the same seed gives the same tokens. */
    readonly seed?: number | undefined;
    /** Tokens that end the text; they are not yielded. */
    readonly stopTokens?: readonly number[] | undefined;
    readonly signal?: AbortSignalLike | undefined;
    /**
     * A state to go on in, which holds the prompt and the text afterwards and is the caller's to dispose. Of the prompt only
     * what differs from its tokens is read: a conversation is not read again with each turn.
     */
    readonly state?: DecodingState | undefined;
  }
}

/**
 * Continues a prompt, yielding each token as soon as it is drawn. Leaving the loop early frees the cache. After the loop
 * `finishReason` says why it ended: a stop token, `maxNewTokens`, or the model's positions were used up.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires; `invalid-argument` or `too-many-positions` for the prompt;
 *   `invalid-argument` for an option out of range; `invalid-logits` when the model computes NaN.
 *
 * @example
 * ```js
 * const generation = generate(model, promptIds, { maxNewTokens: 64 });
 * for await (const token of generation) show(token);
 * generation.finishReason; // "max-new-tokens"
 * ```
 */
export const generate = (
  model: CausalLM,
  prompt: ArrayLike<number>,
  options: generate.Options = {},
): Generation => toGeneration(drawTokens(model, prompt, options));

async function* drawTokens(
  model: CausalLM,
  prompt: ArrayLike<number>,
  options: generate.Options,
): AsyncGenerator<number, FinishReason, undefined> {
  const {
    maxNewTokens = DEFAULT_NEW_TOKENS,
    temperature = 0,
    topK,
    topP,
    seed = 0,
    stopTokens = [],
    signal,
  } = options;
  checkCount(maxNewTokens);
  const random = createRandom(seed);
  const stops = new Set(stopTokens);
  const state = options.state ?? model.createState();
  try {
    throwIfAborted(signal);
    let logits = await readPrompt(state, prompt);
    for (let count = 1; count <= maxNewTokens; count++) {
      throwIfAborted(signal);
      const token = sampleToken(logits, { temperature, topK, topP }, random);
      if (stops.has(token)) return "stop-token";
      yield token;
      if (count === maxNewTokens) break;
      if (state.length === model.maxPositions) return "max-positions";
      throwIfAborted(signal);
      logits = await state.decode(token);
    }
    return "max-new-tokens";
  } finally {
    if (options.state === undefined) state.dispose();
  }
}

/** Reads what the state lacks of a prompt, its last token at least, whose logits are wanted. */
function readPrompt(state: DecodingState, prompt: ArrayLike<number>): Promise<Float32Array> {
  const last = Math.max(prompt.length - 1, 0);
  let known = 0;
  while (known < Math.min(state.length, last) && state.tokens[known] === prompt[known]) known++;
  state.truncate(known < state.settled ? 0 : known);
  return state.prefill(Array.from(prompt).slice(state.length));
}

/** @throws {RuntimeError} `invalid-argument`. */
export function checkCount(maxNewTokens: number): void {
  if (maxNewTokens >= 1) return;
  throw new RuntimeError(
    "invalid-argument",
    `generate: expected maxNewTokens of at least 1, found ${maxNewTokens}`,
  );
}
