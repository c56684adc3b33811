import { type MessagePort, parentPort } from "node:worker_threads";
import type { MatrixProducts } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import { type BlockMath, createBlockMath } from "../fold/block-math.js";
import { describeFailure, END, type TaskReply, type TaskRequest } from "./worker-protocol.js";

/** Products, and how to free what makes them, if anything has to be freed. */
interface OwnedProducts extends MatrixProducts {
  dispose?(): Promise<void>;
}

/**
 * Makes the thread that it is called in one that `workerBlockMath` can use: the module that calls it is the `script`.
 * Products may be on their way still; they are disposed when the thread is told to end.
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
export function serveBlockMath(products: OwnedProducts | Promise<OwnedProducts>): void {
  if (parentPort === null)
    throw new ConverterError(
      "invalid-option",
      "serveBlockMath serves the thread that started this one; this is the main thread",
    );
  const port = parentPort;
  const ready = Promise.resolve(products);
  const math = ready.then(createBlockMath);
  // Failures reach whoever asks for a task.
  math.catch(() => {});
  port.on("message", (message: TaskRequest | typeof END) => {
    if (message === END) void end(port, ready);
    else void perform(math, message).then((reply) => port.postMessage(reply));
  });
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
