import type { AbortSignalLike } from "@kvfold/runtime";

/** How far a job is. */
export interface Progress {
  /** What is being done, e.g. `layer 3/6: measure`. */
  readonly label: string;
  /** In units of `total`; may be a fraction. */
  readonly done: number;
  readonly total: number;
}

/** How a job talks to its caller: a worker thread, a test, another program. */
export interface JobContext {
  /** Ends the job between two runs of the model. */
  readonly signal: AbortSignalLike;
  readonly onProgress: (progress: Progress) => void;
  /** Text of a generation as it comes. */
  readonly onText: (text: string) => void;
  /** Something that the user should know, although the job goes on. */
  readonly onNotice: (text: string) => void;
  /** A path that the job is about to write to and removes itself, unless it is killed. */
  readonly onTemporary: (path: string) => void;
}

/** A context that nobody listens to. */
export const quietContext: JobContext = {
  signal: { aborted: false },
  onProgress() {},
  onText() {},
  onNotice() {},
  onTemporary() {},
};
