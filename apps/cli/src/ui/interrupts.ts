/** Signals that ask a program to end, and the exit codes that shells expect of it then. */
const SIGNAL_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Requests to stop, from signals and from other parts of the program. */
export interface Interrupts {
  /** The exit code that goes with the last request, if there was one. */
  readonly exitCode: number | undefined;
  /** Asks to end. */
  readonly raise: (exitCode: number) => void;
  /** Calls `listener` at each request; returns how to stop that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Ends the process at once, whatever its threads are doing, as the last request would have without us. */
  readonly kill: () => void;
}

/** Takes over the signals of the process. */
export function watchInterrupts(): Interrupts {
  const listeners = new Set<() => void>();
  let exitCode: number | undefined;
  // The one that no process can ignore, for requests that did not come from a signal.
  let lastSignal: NodeJS.Signals = "SIGKILL";
  const raise = (code: number) => {
    exitCode = code;
    for (const listener of listeners) listener();
  };
  for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES) as [NodeJS.Signals, number][])
    process.on(signal, () => {
      lastSignal = signal;
      raise(code);
    });
  return {
    get exitCode() {
      return exitCode;
    },
    raise,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    kill() {
      process.removeAllListeners(lastSignal);
      process.kill(process.pid, lastSignal);
    },
  };
}
