import { Worker } from "node:worker_threads";
import type { BlockMath } from "../fold/block-math.js";
import { END, reviveFailure, type TaskReply, type TaskRequest, type WorkerInput } from "./worker-protocol.js";

export declare namespace workerBlockMath {
  interface Options {
    /** The worker's script, a module that calls `serveBlockMath`; `@kvfold/converter/node/block-math-worker` unless given. */
    readonly script?: URL;
  }
}

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs the linear algebra of a fold in a thread of its own, so that it overlaps with the model's runs. Results are those
 * of `inlineBlockMath`, to the bit; those of a script with other products differ by roundings of float64. Dispose it when
 * the fold is over: its thread keeps a process alive. Tasks that are still running then end at their next matrix product,
 * and reject with `RuntimeError` `aborted`.
 */
export function workerBlockMath({
  script = new URL(import.meta.resolve("@kvfold/converter/node/block-math-worker")),
}: workerBlockMath.Options = {}): BlockMath {
  // The host's flags are not for published JavaScript: conditions, say, may lead to sources.
  const abort = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const worker = new Worker(script, { execArgv: [], workerData: { abort } satisfies WorkerInput });
  const pending = new Map<number, Pending>();
  let ids = 0;
  let broken: Error | undefined;
  const fail = (error: Error) => {
    broken = error;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  worker.on("error", fail);
  // A reply that cannot be read: whose it was is not known.
  worker.on("messageerror", fail);
  const ended = new Promise<void>((resolve) => {
    worker.on("exit", () => {
      fail(broken ?? new Error("the thread for linear algebra has ended"));
      resolve();
    });
  });
  worker.on("message", (reply: TaskReply) => {
    const task = pending.get(reply.id);
    pending.delete(reply.id);
    if ("failure" in reply) task?.reject(reviveFailure(reply.failure));
    else task?.resolve(reply.result as never);
  });
  return {
    run: (task, input) =>
      new Promise((resolve, reject) => {
        if (broken !== undefined) return reject(broken);
        const id = ids++;
        // Throws when the input cannot be sent; then nothing is pending.
        worker.postMessage({ id, task, input } satisfies TaskRequest, handedOver(input));
        pending.set(id, { resolve, reject });
      }),
    async dispose() {
      Atomics.store(new Int32Array(abort), 0, 1);
      worker.postMessage(END);
      await ended;
    },
  };
}

/** The buffers of a regression's sums: the squares of an MLP's inputs take half a gigabyte, and nobody reads them again. */
function handedOver(input: TaskRequest["input"]): readonly ArrayBuffer[] {
  if (!("sums" in input)) return [];
  const { moments, crosses } = input.sums;
  const arrays = [
    ...Object.values(moments).flatMap(({ gram, sum }) => [gram, sum]),
    ...Object.values(crosses).flatMap(({ cross, sum }) => [cross, sum]),
  ];
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}
