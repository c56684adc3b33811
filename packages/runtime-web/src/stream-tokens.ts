import { type FinishReason, type Generation, type generate, toGeneration } from "@kvfold/runtime";
import type { GeneratedToken } from "./protocol.js";
import type { WorkerConnection } from "./worker-connection.js";

export declare namespace streamTokens {
  interface Options extends Omit<generate.Options, "signal" | "state"> {
    /**
     * Goes on in the conversation that the model keeps, which holds the prompt and the text afterwards: of a prompt only what
     * differs from it is read. Its memory goes with the model.
     */
    readonly keep?: boolean | undefined;
    /** Called with each token: bytes of the tokens in the cache, without those that policies dropped. */
    readonly onCacheBytes?: ((bytes: number) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  }
}

/** Yields the tokens that a worker generates as they come. Leaving the loop stops the worker. */
export const streamTokens = (
  connection: WorkerConnection,
  prompt: ArrayLike<number>,
  options: streamTokens.Options,
): Generation => toGeneration(receiveTokens(connection, prompt, options));

async function* receiveTokens(
  connection: WorkerConnection,
  prompt: ArrayLike<number>,
  { signal, keep = false, onCacheBytes, ...options }: streamTokens.Options,
): AsyncGenerator<number, FinishReason, undefined> {
  const stop = new AbortController();
  const forwardAbort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener("abort", forwardAbort);
  if (signal?.aborted) forwardAbort();
  const tokens: GeneratedToken[] = [];
  let ended = false;
  let wake = (): void => {};
  const onReport = (token: GeneratedToken): void => {
    tokens.push(token);
    wake();
  };
  const onEnd = (): void => {
    ended = true;
    wake();
  };
  const input = { prompt: Array.from(prompt), options, keep };
  const finished = connection.call("generate", input, { onReport, signal: stop.signal });
  void finished.then(onEnd, onEnd);
  try {
    for (;;) {
      while (tokens.length > 0) {
        const { token, cacheBytes } = tokens.shift()!;
        onCacheBytes?.(cacheBytes);
        yield token;
      }
      if (ended) return await finished;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    stop.abort();
    signal?.removeEventListener("abort", forwardAbort);
  }
}
