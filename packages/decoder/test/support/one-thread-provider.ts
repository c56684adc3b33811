import type { SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";

/** ONNX Runtime for Node on one thread: two test files run at a time, and more threads than cores wait for each other. */
export function oneThreadProvider(): SessionProvider {
  const provider = nodeProvider();
  return {
    ...provider,
    createSession: (source, options) => provider.createSession(source, { threads: 1, ...options }),
  };
}
