import type { AbortSignalLike } from "@kvfold/runtime";

/**
 * A signal that one thread raises and another reads at any time, even in the middle of a long computation: a message
 * would wait for the event loop.
 */
export interface AbortFlag {
  readonly memory: SharedArrayBuffer;
  raise(): void;
}

/** Makes a flag that is not raised. */
export function createAbortFlag(): AbortFlag {
  const memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  return { memory, raise: () => void Atomics.store(new Int32Array(memory), 0, 1) };
}

/** The reading side of a flag. */
export function flagSignal(memory: SharedArrayBuffer): AbortSignalLike {
  const flag = new Int32Array(memory);
  return {
    get aborted() {
      return Atomics.load(flag, 0) === 1;
    },
  };
}
