import { rmSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { CliError } from "../cli-error.js";
import type { Progress } from "../jobs/job.js";
import type { JobName, JobOptions, JobResult } from "../jobs/registry.js";
import { type ReportedError, reportError } from "../reported-error.js";
import type { Interrupts } from "../ui/interrupts.js";
import { createAbortFlag } from "./abort-flag.js";
import type { WorkerInput, WorkerMessage } from "./protocol.js";

/** A job failed in its worker. */
export class JobError extends Error {
  override readonly name = "JobError";
  readonly reported: ReportedError;

  constructor(reported: ReportedError) {
    super(reported.message);
    this.reported = reported;
  }
}

export declare namespace runInWorker {
  interface Options {
    readonly onProgress: (progress: Progress) => void;
    readonly onText: (text: string) => void;
    readonly onNotice: (text: string) => void;
    readonly interrupts: Pick<Interrupts, "subscribe" | "kill">;
  }
}

/** A job that was asked to end gets this long before it is left behind. */
const GRACE_MILLISECONDS = 10_000;

/**
 * Runs a job in a thread of its own. The first interrupt asks it to end and clean up; at the second, or after a long
 * silence, what it was writing is removed, and the process ends with it as soon as it has nothing else to do.
 *
 * @throws {JobError} with what the job threw.
 * @throws {CliError} `interrupted`.
 */
export async function runInWorker<N extends JobName>(
  name: N,
  options: JobOptions<N>,
  { interrupts, ...listeners }: runInWorker.Options,
): Promise<JobResult<N>> {
  const flag = createAbortFlag();
  const workerData: WorkerInput<N> = { name, options, abort: flag.memory };
  const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData });
  const temporaries = new Set<string>();
  // Whatever ends the process, nothing half-written outlives it.
  const removeTemporaries = () => removeAll(temporaries);
  process.once("exit", removeTemporaries);
  const patience = new AbortController();
  let interrupted = false;
  let grace: NodeJS.Timeout | undefined;
  const unsubscribe = interrupts.subscribe(() => {
    flag.raise();
    if (interrupted) patience.abort();
    else grace = setTimeout(() => patience.abort(), GRACE_MILLISECONDS);
    interrupted = true;
  });
  try {
    return (await outcome(worker, temporaries, patience.signal, listeners)) as JobResult<N>;
  } catch (error) {
    if (interrupted) throw interruption(error);
    throw error;
  } finally {
    clearTimeout(grace);
    unsubscribe();
    if (patience.signal.aborted) leaveBehind(worker, interrupts.kill);
    else await worker.terminate();
    removeTemporaries();
    process.off("exit", removeTemporaries);
  }
}

/** A thread cannot be ended while ONNX Runtime works in it, Node aborts then: only the whole process can. */
function leaveBehind(worker: Worker, kill: () => void): void {
  worker.removeAllListeners("message");
  worker.unref();
  process.once("exit", kill);
}

/** What an interrupt led to: jobs that keep something say so themselves. */
function interruption(cause: unknown): CliError {
  const own = cause instanceof JobError && cause.reported.code === "interrupted";
  return new CliError("interrupted", own ? cause.message : "interrupted; nothing was written", { cause });
}

function outcome(
  worker: Worker,
  temporaries: Set<string>,
  patience: AbortSignal,
  { onProgress, onText, onNotice }: Omit<runInWorker.Options, "interrupts">,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.on("message", (message: WorkerMessage) => {
      if (message.type === "progress") onProgress(message.progress);
      else if (message.type === "text") onText(message.text);
      else if (message.type === "notice") onNotice(message.text);
      else if (message.type === "temporary") temporaries.add(message.path);
      else if (message.type === "result") resolve(message.result);
      else reject(new JobError(message.error));
    });
    patience.addEventListener("abort", () => reject(new Error("the worker did not end when asked to")));
    worker.on("error", (error) => reject(new JobError(reportError(error))));
    worker.on("exit", (code) => reject(new Error(`the worker ended early with code ${code}`)));
  });
}

function removeAll(paths: ReadonlySet<string>): void {
  // Something may still be written there.
  for (const path of paths) rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}
