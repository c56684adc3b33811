/** Signals that ask a program to end, and the exit codes that shells expect of it then. */
const SIGNAL_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** What `head` and `less` leave behind when they close the pipe. */
const BROKEN_PIPE_EXIT_CODE = 141;

/** Requests to end, from signals and from a closed standard output. */
export interface Interrupts {
  /** The exit code that goes with the last request, if there was one. */
  readonly exitCode: number | undefined;
  /** Calls `listener` at each request; returns how to stop that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Ends the process at once, whatever its threads are doing, as the last request would have without us. */
  readonly kill: () => void;
}

/** Takes over the signals of the process. */
export function watchInterrupts({ stdout }: Pick<NodeJS.Process, "stdout"> = process): Interrupts {
  const listeners = new Set<() => void>();
  let exitCode: number | undefined;
  // Nobody ignores it: the one for what is no signal.
  let lastSignal: NodeJS.Signals = "SIGKILL";
  const interrupt = (code: number) => {
    exitCode = code;
    for (const listener of listeners) listener();
  };
  for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES) as [NodeJS.Signals, number][])
    process.on(signal, () => {
      lastSignal = signal;
      interrupt(code);
    });
  stdout.on("error", () => interrupt(BROKEN_PIPE_EXIT_CODE));
  return {
    get exitCode() {
      return exitCode;
    },
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
