/** Why a watchdog fired. */
export class Silence extends Error {
  override readonly name = "Silence";
}

/** Fires when nothing was heard for a while. */
export interface Watchdog {
  readonly signal: AbortSignal;
  /** Something was heard. */
  hear(): void;
  /** Listens no longer. */
  stop(): void;
}

/** Starts to listen. */
export function createWatchdog(patienceMilliseconds: number): Watchdog {
  const controller = new AbortController();
  // An answer that nobody reads to its end must not keep the process alive.
  const timer = setTimeout(() => controller.abort(new Silence()), patienceMilliseconds).unref();
  return { signal: controller.signal, hear: () => void timer.refresh(), stop: () => clearTimeout(timer) };
}

/** The answer, whose body is listened to while it comes. */
export function listenTo(answer: Response, watchdog: Watchdog): Response {
  if (answer.body === null) {
    watchdog.stop();
    return answer;
  }
  const ear = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      watchdog.hear();
      controller.enqueue(chunk);
    },
    flush: () => watchdog.stop(),
  });
  return new Response(answer.body.pipeThrough(ear), answer);
}
