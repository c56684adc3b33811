/** The reason of a watchdog that fired: no data came in time. */
export class SilentHostError extends Error {
  override readonly name = "SilentHostError";
}

/** Aborts its signal when no data has come for a while. */
export interface Watchdog {
  readonly signal: AbortSignal;
  /** Data came: the wait starts anew. */
  restart(): void;
  /** Ends the wait. */
  stop(): void;
}

/** Starts the wait. */
export function createWatchdog(patienceMilliseconds: number): Watchdog {
  const controller = new AbortController();
  // An answer that nobody reads to its end must not keep the process alive.
  const timer = setTimeout(() => controller.abort(new SilentHostError()), patienceMilliseconds).unref();
  return { signal: controller.signal, restart: () => void timer.refresh(), stop: () => clearTimeout(timer) };
}

/** The answer, whose body restarts the watchdog with each chunk. */
export function watchBody(answer: Response, watchdog: Watchdog): Response {
  if (answer.body === null) {
    watchdog.stop();
    return answer;
  }
  const watched = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      watchdog.restart();
      controller.enqueue(chunk);
    },
    flush: () => watchdog.stop(),
  });
  return new Response(answer.body.pipeThrough(watched), answer);
}
