import type { JobName, JobOptions, JobResult } from "../jobs/registry.js";
import type { Colours } from "../ui/terminal.js";

export declare namespace CommandHost {
  interface RunOptions {
    readonly quiet?: boolean | undefined;
    /** Text of a generation as it comes. */
    readonly onText?: (text: string) => void;
  }
}

/** What a command needs: a function that runs its job, and a place to print to. */
export interface CommandHost {
  run<N extends JobName>(
    name: N,
    options: JobOptions<N>,
    settings: CommandHost.RunOptions,
  ): Promise<JobResult<N>>;
  /** Writes text to standard output as it is. */
  readonly write: (text: string) => void;
  readonly colours: Colours;
}

/** Prints a result: as one line of JSON, or as the text that `render` makes of it. */
export function printResult<T>(
  { write }: CommandHost,
  { json }: { readonly json?: boolean },
  result: T,
  render: (result: T) => string,
): void {
  write(`${json ? JSON.stringify(result) : render(result)}\n`);
}
