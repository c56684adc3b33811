import { type ChatMessage, createTextStream, type TextTokenizer } from "@kvfold/runtime";
import type { WebModel } from "@kvfold/runtime-web";
import { type Signal, signal } from "@preact/signals";
import { messageOf } from "../ui/format.js";

/** What one column shows while its model writes. */
export interface Continuation {
  /** Of a conversation, the turns before what is written now. */
  readonly turns: readonly ChatMessage[];
  readonly tokens: readonly number[];
  readonly text: string;
  /** Decoded tokens a second, from the second token on: the first one waits for the prompt. */
  readonly tokensPerSecond: number | undefined;
  /** Bytes of the tokens in the cache: those of the prompt and of the continuation that no policy has dropped. */
  readonly cacheBytes: number | undefined;
  /** Of the prompt, those that the model had in its cache and did not read again. */
  readonly keptTokens: number;
  readonly problem: string | undefined;
}

const EMPTY: Continuation = {
  turns: [],
  tokens: [],
  text: "",
  tokensPerSecond: undefined,
  cacheBytes: undefined,
  keptTokens: 0,
  problem: undefined,
};

export const emptyContinuation = (): Signal<Continuation> => signal(EMPTY);

export interface ContinuationOptions {
  /** What stands before what is written. */
  readonly before?: Before | undefined;
  readonly maxNewTokens: number;
  readonly stopTokens: readonly number[];
  readonly stop: AbortSignal;
}

interface Before {
  readonly text?: string;
  readonly turns?: readonly ChatMessage[];
  /** Tokens of the prompt that the model has read before. */
  readonly tokens: number;
}

/**
 * Lets a model go on with a prompt and shows each token as it comes; ends without complaint when `stop` fires. The model keeps
 * prompt and continuation, so that a longer prompt is not read again.
 *
 * @returns The tokens that were drawn.
 */
export async function continueText(
  into: Signal<Continuation>,
  model: WebModel,
  tokenizer: TextTokenizer,
  prompt: readonly number[],
  { maxNewTokens, stopTokens, stop, before = { tokens: 0 } }: ContinuationOptions,
): Promise<readonly number[]> {
  const { text = "", turns = [] } = before;
  into.value = { ...EMPTY, text, turns, keptTokens: before.tokens };
  const tokens: number[] = [];
  const stream = createTextStream(tokenizer.decode, { after: prompt });
  let first = 0;
  try {
    for await (const token of model.generate(prompt, {
      maxNewTokens,
      stopTokens,
      signal: stop,
      keep: true,
      onCacheBytes: (cacheBytes) => {
        into.value = { ...into.value, cacheBytes };
      },
    })) {
      tokens.push(token);
      if (tokens.length === 1) first = performance.now();
      const seconds = (performance.now() - first) / 1000;
      into.value = {
        ...into.value,
        tokens: [...tokens],
        text: into.value.text + stream.push(token),
        tokensPerSecond: tokens.length > 1 ? (tokens.length - 1) / seconds : undefined,
      };
    }
    into.value = { ...into.value, text: into.value.text + stream.flush() };
  } catch (error) {
    if (!stop.aborted) into.value = { ...into.value, problem: messageOf(error) };
  }
  return tokens;
}
