/**
 * The thread that does the work. ONNX Runtime blocks its thread while it runs, so progress, signals and output belong
 * to the main one.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { JobContext } from "./jobs/job.js";
import { type JobName, type JobOptions, type JobResult, jobs } from "./jobs/registry.js";
import { reportError } from "./reported-error.js";
import { flagSignal } from "./worker/abort-flag.js";
import type { WorkerInput, WorkerMessage } from "./worker/protocol.js";

const { name, options, abort } = workerData as WorkerInput;
const post = (message: WorkerMessage): void => parentPort?.postMessage(message);

const context: JobContext = {
  signal: flagSignal(abort),
  onProgress: (progress) => post({ type: "progress", progress }),
  onText: (text) => post({ type: "text", text }),
  onNotice: (text) => post({ type: "notice", text }),
  onTemporary: (path) => post({ type: "temporary", path }),
};

const run = jobs[name] as (options: JobOptions<JobName>, context: JobContext) => Promise<JobResult<JobName>>;

run(options, context).then(
  (result) => post({ type: "result", result }),
  (error: unknown) => post({ type: "error", error: reportError(error) }),
);
