import { RuntimeError } from "./runtime-error.js";

/** What this package reads of an `AbortSignal`, so that it needs neither the DOM's types nor Node's. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
}

/**
 * Ends the work in hand if `signal` has fired.
 *
 * @throws {RuntimeError} `aborted`, with the signal's reason as `cause`.
 */
export function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) {
    throw new RuntimeError("aborted", "the operation was aborted by its signal", { cause: signal.reason });
  }
}
