import { RuntimeError } from "@kvfold/runtime";
import { type CallName, type Calls, type Reply, type Request, reviveFailure } from "./protocol.js";

interface Pending {
  readonly onReport: (report: never) => void;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** Enough to leave a download and tidy up; in the middle of a long step, a worker does not hear anything. */
const GRACE_MS = 1_000;

export declare namespace WorkerConnection {
  interface CallOptions<N extends CallName> {
    readonly onReport?: ((report: Calls[N]["report"]) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  }
}

/** The page's end of a worker. When the worker cannot go on, it is ended, and with it all memory that it holds. */
export class WorkerConnection {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #onEnd: (error: Error) => void;
  #calls = 0;
  #ended: Error | undefined;

  /** @param onEnd - Called once, unless the page itself ends the worker. */
  constructor(worker: Worker, onEnd: (error: Error) => void) {
    this.#worker = worker;
    this.#onEnd = onEnd;
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#receive(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail(brokenWorker(event.message));
    });
  }

  /** Has the worker do something. After the signal, the call rejects when the worker has stopped, or soon. */
  call<N extends CallName>(
    type: N,
    input: Calls[N]["input"],
    { onReport = () => {}, signal }: WorkerConnection.CallOptions<N> = {},
  ): Promise<Calls[N]["result"]> {
    const id = this.#calls++;
    const cancel = (): void => this.#cancel(id);
    const settled = new Promise<Calls[N]["result"]>((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      this.#pending.set(id, { onReport, resolve, reject });
      this.#post({ type, id, input } as Request);
      signal?.addEventListener("abort", cancel);
      if (signal?.aborted) cancel();
    });
    return settled
      .catch((error: unknown) => {
        throw signal?.aborted ? aborted(signal) : error;
      })
      .finally(() => signal?.removeEventListener("abort", cancel));
  }

  /** Ends the worker at once, whatever it is doing. */
  end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #cancel(id: number): void {
    this.#post({ type: "cancel", id });
    setTimeout(() => this.#pending.get(id)?.reject(new Error("the worker takes its time")), GRACE_MS);
  }

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }

  #receive(reply: Reply): void {
    if (reply.type === "lost") this.#fail(reviveFailure(reply.failure));
    else if (reply.type === "report") this.#pending.get(reply.id)?.onReport(reply.report as never);
    else this.#settle(reply);
  }

  #settle(reply: Extract<Reply, { type: "result" | "failure" }>): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.type === "result") pending?.resolve(reply.result as never);
    else pending?.reject(reviveFailure(reply.failure));
  }

  #fail(error: Error): void {
    if (this.#ended !== undefined) return;
    this.end(error);
    this.#onEnd(error);
  }
}

const aborted = (signal: AbortSignal): RuntimeError =>
  new RuntimeError("aborted", "the operation was aborted by its signal", { cause: signal.reason });

const brokenWorker = (message: string | undefined): RuntimeError =>
  new RuntimeError(
    "runtime-missing",
    `expected a worker whose script calls serveRuntime, found one that failed (${message || "its script did not load"})`,
  );
