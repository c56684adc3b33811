import type { WorkBeginning, WorkFailure, WorkMessage, WorkName, Works } from "./works.js";

/** A work failed in its worker. */
export class WorkError extends Error {
  override readonly name = "WorkError";
  readonly code: string;

  constructor({ code, message }: WorkFailure) {
    super(message);
    this.code = code;
  }
}

/** How a work ends that the user cancelled. */
export const CANCELLED: WorkFailure = { code: "cancelled", message: "cancelled; nothing was kept" };

export interface RunningWork<Result> {
  readonly result: Promise<Result>;
  /** Ends the worker, and with it all memory it holds; `result` then fails with `CANCELLED`. */
  readonly cancel: () => void;
  /** Asks the worker to end soon with what it has; a fold has nothing before its end. */
  readonly enough: () => void;
}

/** Starts a work in a worker of its own. */
export function startWork<Name extends WorkName>(
  name: Name,
  request: Works[Name]["request"],
  onNews: (news: Works[Name]["news"]) => void,
): RunningWork<Works[Name]["result"]> {
  const worker = new Worker(new URL("./maker.worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = deferred<Works[Name]["result"]>();
  const fail = (failure: WorkFailure) => {
    worker.terminate();
    reject(new WorkError(failure));
  };
  worker.addEventListener("message", ({ data }: MessageEvent<WorkMessage<Name>>) => {
    if (data.type === "failed") fail(data.failure);
    else if (data.type === "done") {
      worker.terminate();
      resolve(data.result);
    } else onNews(data.news);
  });
  worker.addEventListener("error", ({ message }) =>
    fail({ code: "worker-failed", message: message || "the worker could not start" }),
  );
  const beginning: WorkBeginning<Name> = { type: "begin", name, request };
  worker.postMessage(beginning);
  return {
    result: promise,
    cancel: () => fail(CANCELLED),
    enough: () => worker.postMessage({ type: "enough" }),
  };
}

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
