import type { FoldFailure, FoldMessage, FoldRequest, FoldResult } from "./fold-request.js";

/** A fold failed in its worker. */
export class FoldError extends Error {
  override readonly name = "FoldError";
  readonly code: string;

  constructor({ code, message }: FoldFailure) {
    super(message);
    this.code = code;
  }
}

/** How a fold ends that the user stopped. */
export const CANCELLED: FoldFailure = { code: "cancelled", message: "cancelled; nothing was kept" };

export interface RunningFold {
  readonly result: Promise<FoldResult>;
  /** Ends the worker, and with it all memory it holds; `result` then fails with `CANCELLED`. */
  readonly cancel: () => void;
}

type Progress = Exclude<FoldMessage, { readonly type: "done" | "failed" }>;

/** Starts a fold in a worker of its own. */
export function startFold(request: FoldRequest, onMessage: (message: Progress) => void): RunningFold {
  const worker = new Worker(new URL("./fold.worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = deferred<FoldResult>();
  const fail = (failure: FoldFailure) => {
    worker.terminate();
    reject(new FoldError(failure));
  };
  worker.addEventListener("message", ({ data }: MessageEvent<FoldMessage>) => {
    if (data.type === "failed") fail(data.failure);
    else if (data.type === "done") {
      worker.terminate();
      resolve(data.result);
    } else onMessage(data);
  });
  worker.addEventListener("error", ({ message }) =>
    fail({ code: "worker-failed", message: message || "the worker could not start" }),
  );
  worker.postMessage(request);
  return {
    result: promise,
    cancel: () => fail(CANCELLED),
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
