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
}

/** Takes over the signals of the process. */
export function watchInterrupts({ stdout }: Pick<NodeJS.Process, "stdout"> = process): Interrupts {
  const listeners = new Set<() => void>();
  let exitCode: number | undefined;
  const interrupt = (code: number) => {
    exitCode = code;
    for (const listener of listeners) listener();
  };
  for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES)) process.on(signal, () => interrupt(code));
  stdout.on("error", () => interrupt(BROKEN_PIPE_EXIT_CODE));
  return {
    get exitCode() {
      return exitCode;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
