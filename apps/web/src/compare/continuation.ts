import { createTextStream, type TextTokenizer } from "@kvfold/runtime";
import type { WebModel } from "@kvfold/runtime-web";
import { type Signal, signal } from "@preact/signals";
import { messageOf } from "../ui/format.js";

/** What one column shows while its model writes. */
export interface Continuation {
  readonly tokens: readonly number[];
  readonly text: string;
  /** Decoded tokens a second, from the second token on: the first one waits for the prompt. */
  readonly tokensPerSecond: number | undefined;
  /** Tokens in the cache: prompt and continuation. */
  readonly cachedTokens: number;
  /** Of the prompt, those that the model had in its cache and did not read again. */
  readonly keptTokens: number;
  readonly problem: string | undefined;
}

const EMPTY: Continuation = {
  tokens: [],
  text: "",
  tokensPerSecond: undefined,
  cachedTokens: 0,
  keptTokens: 0,
  problem: undefined,
};

export const emptyContinuation = (): Signal<Continuation> => signal(EMPTY);

export interface ContinuationOptions {
  /** Text that stands before what is written, and tokens of the prompt that the model has read before. */
  readonly before?: { readonly text: string; readonly tokens: number } | undefined;
  readonly maxNewTokens: number;
  readonly stopTokens: readonly number[];
  readonly stop: AbortSignal;
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
  { maxNewTokens, stopTokens, stop, before = { text: "", tokens: 0 } }: ContinuationOptions,
): Promise<readonly number[]> {
  into.value = { ...EMPTY, text: before.text, keptTokens: before.tokens };
  const tokens: number[] = [];
  const stream = createTextStream(tokenizer.decode, { after: prompt });
  let first = 0;
  try {
    for await (const token of model.generate(prompt, {
      maxNewTokens,
      stopTokens,
      signal: stop,
      keep: true,
    })) {
      tokens.push(token);
      if (tokens.length === 1) first = performance.now();
      const seconds = (performance.now() - first) / 1000;
      into.value = {
        ...into.value,
        tokens: [...tokens],
        text: into.value.text + stream.push(token),
        tokensPerSecond: tokens.length > 1 ? (tokens.length - 1) / seconds : undefined,
        cachedTokens: prompt.length + tokens.length,
      };
    }
    into.value = { ...into.value, text: into.value.text + stream.flush() };
  } catch (error) {
    if (!stop.aborted) into.value = { ...into.value, problem: messageOf(error) };
  }
  return tokens;
}
