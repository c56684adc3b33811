import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { Linear } from "@kvfold/decoder";
import type { Matrix, MatrixProducts } from "@kvfold/linalg";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { type BlockMath, createBlockMath } from "../fold/block-math.js";
import {
  describeFailure,
  END,
  type TaskReply,
  type TaskRequest,
  type WorkerInput,
} from "./worker-protocol.js";

/** Products, and how to free what makes them, if anything has to be freed. */
interface OwnedProducts extends MatrixProducts {
  dispose?(): Promise<void>;
}

/**
 * Makes the thread that it is called in one that `workerBlockMath` can use: the module that calls it is the `script`.
 * Products may be on their way still; they are disposed when the thread is told to end. Methods of one's own are known
 * to the thread when its script gives them (`methods`).
 *
 * @throws {ConverterError} `invalid-option` in the main thread, which has nobody to serve.
 * @example
 * ```ts no-run
 * import { onnxProducts } from "@kvfold/converter";
 * import { serveBlockMath } from "@kvfold/converter/node";
 * import { nodeProvider } from "@kvfold/runtime-node";
 *
 * serveBlockMath(onnxProducts(nodeProvider(), { threads: 1 }));
 * ```
 */
export function serveBlockMath(
  products: OwnedProducts | Promise<OwnedProducts>,
  options?: createBlockMath.Options,
): void {
  if (parentPort === null)
    throw new ConverterError(
      "invalid-option",
      "serveBlockMath serves the thread that started this one; this is the main thread",
    );
  const port = parentPort;
  const ready = Promise.resolve(products);
  const signal = flagSignal(workerData as WorkerInput);
  const math = ready.then((made) => createBlockMath(untilAborted(made, signal), options));
  // Failures reach whoever asks for a task.
  math.catch(() => {});
  port.on("message", (message: TaskRequest | typeof END) => {
    if (message === END) void end(port, ready);
    else void perform(math, message).then((reply) => answer(port, reply));
  });
  // Which task it was is not known: as an uncaught error it ends the thread, and with it all tasks.
  port.on("messageerror", (error) => {
    throw error;
  });
}

const flagSignal = ({ abort }: WorkerInput): AbortSignalLike => {
  const flag = new Int32Array(abort);
  return {
    get aborted() {
      return Atomics.load(flag, 0) === 1;
    },
  };
};

/** Products that end the task that asks for them once the flag is set: a task has many, and seconds between them. */
function untilAborted(products: MatrixProducts, signal: AbortSignalLike): MatrixProducts {
  const guarded =
    (multiply: (a: Matrix, b: Matrix) => Promise<Matrix>) =>
    async (a: Matrix, b: Matrix): Promise<Matrix> => {
      throwIfAborted(signal);
      return multiply(a, b);
    };
  return {
    multiply: guarded((a, b) => products.multiply(a, b)),
    multiplyTransposed: guarded((a, b) => products.multiplyTransposed(a, b)),
    transposeMultiply: guarded((a, b) => products.transposeMultiply(a, b)),
  };
}

/** Sends a reply, or why it cannot be sent. */
function answer(port: MessagePort, reply: TaskReply): void {
  try {
    port.postMessage(reply, "result" in reply ? ownWeights(reply.result) : []);
  } catch (error) {
    port.postMessage({ id: reply.id, failure: describeFailure(error) } satisfies TaskReply);
  }
}

/** Memory of the weights of a projection, or of several: the thread made them, and keeps nothing of what it hands over. */
function ownWeights(result: unknown): readonly ArrayBuffer[] {
  const linears: readonly unknown[] = Array.isArray(result) ? result : [result];
  const weights = linears.map((linear) => (linear as Partial<Linear> | undefined)?.weight?.buffer);
  return weights.filter((buffer) => buffer instanceof ArrayBuffer);
}

async function perform(math: Promise<BlockMath>, { id, task, input }: TaskRequest): Promise<TaskReply> {
  try {
    return { id, result: await (await math).run(task, input) };
  } catch (error) {
    return { id, failure: describeFailure(error) };
  }
}

/** Lets the thread end by itself: an engine's native memory does not survive being torn down in use. */
async function end(port: MessagePort, products: Promise<OwnedProducts>): Promise<void> {
  port.close();
  await products.then(
    (made) => made.dispose?.(),
    () => {},
  );
}
