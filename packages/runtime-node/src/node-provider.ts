import {
  type ModelSource,
  RuntimeError,
  type Session,
  type SessionOptions,
  type SessionProvider,
} from "@kvfold/runtime";
import { checkModelFile } from "./model-file.js";
import { type OrtNode, openSession } from "./node-session.js";

/**
 * ONNX Runtime for Node (CPU) behind the session port.
 *
 * A run is native code that blocks the event loop until it is done: timers, sockets and signals wait. Put a provider
 * into a `worker_threads` worker to stay responsive.
 *
 * @param ort - The `onnxruntime-node` module; imported at the first session when left out.
 *
 * @example
 * ```ts
 * import { nodeProvider } from "@kvfold/runtime-node";
 *
 * nodeProvider().name // => "onnxruntime-node"
 * ```
 */
export function nodeProvider(ort?: OrtNode): SessionProvider {
  return {
    name: "onnxruntime-node",
    createSession: (source, options) => createSession(ort, source, options),
  };
}

async function createSession(
  ort: OrtNode | undefined,
  source: ModelSource,
  options?: SessionOptions,
): Promise<Session> {
  await checkSource(source);
  return openSession(ort ?? (await importRuntime()), source, options);
}

async function checkSource(source: ModelSource): Promise<void> {
  if ("path" in source) return checkModelFile(source.path);
  if (source.bytes.length === 0) {
    throw new RuntimeError("model-unreadable", "createSession: expected the bytes of a model, found none");
  }
}

async function importRuntime(): Promise<OrtNode> {
  try {
    const module = await import("onnxruntime-node");
    return module.default ?? module;
  } catch (cause) {
    throw new RuntimeError(
      "runtime-missing",
      "createSession: expected the package onnxruntime-node, found none that loads: npm install onnxruntime-node",
      { cause },
    );
  }
}
