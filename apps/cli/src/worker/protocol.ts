import type { Progress } from "../jobs/job.js";
import type { JobName, JobOptions } from "../jobs/registry.js";
import type { ReportedError } from "../reported-error.js";

/** What a worker is started with. */
export interface WorkerInput<N extends JobName = JobName> {
  readonly name: N;
  readonly options: JobOptions<N>;
  /** Memory of the flag that ends the job. */
  readonly abort: SharedArrayBuffer;
}

/** What a worker says. The last message is a result or an error. */
export type WorkerMessage =
  | { readonly type: "progress"; readonly progress: Progress }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "notice"; readonly text: string }
  | { readonly type: "temporary"; readonly path: string }
  | { readonly type: "result"; readonly result: unknown }
  | { readonly type: "error"; readonly error: ReportedError };
