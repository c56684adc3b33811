import { type Session, throwIfAborted } from "@kvfold/runtime";

/**
 * A session that looks at its thread's messages before each run: ONNX Runtime runs WebAssembly without ever returning to
 * the event loop, so a wish to stop would wait for the end.
 *
 * @param signalOf - The signal of the call that is under way.
 */
export const interruptible = (session: Session, signalOf: () => AbortSignal): Session => ({
  inputs: session.inputs,
  outputs: session.outputs,
  writesInPlace: session.writesInPlace,
  memory: session.memory,
  async run(feeds, fetches) {
    await nextTask();
    throwIfAborted(signalOf());
    return session.run(feeds, fetches);
  },
  dispose: () => session.dispose(),
});

/** Resolves after the messages that are waiting. A timer would do, but browsers make it wait for four milliseconds. */
const nextTask = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port2.close();
      resolve();
    };
    port1.postMessage(undefined);
  });
