import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Fetches, Session } from "../src/port.js";

/**
 * A session over ONNX Runtime for Node, as thin as it gets. The real provider is another package's, which depends on this
 * one: to depend on it in turn would make the workspaces a circle.
 */
export async function openTestSession(model: Uint8Array, writesInPlace = true): Promise<Session> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  const tensors = (metadata: readonly InferenceSession.ValueMetadata[]) =>
    metadata.filter((info) => info.isTensor);
  return {
    inputs: tensors(session.inputMetadata),
    outputs: tensors(session.outputMetadata),
    writesInPlace,
    run: (feeds, fetches = session.outputNames) => session.run(feeds, adopt(fetches)),
    dispose: () => session.release(),
  };
}

/** ONNX Runtime ignores outputs that are no instances of its own `Tensor`: same memory, new tensors. */
const adopt = (fetches: Fetches): InferenceSession.FetchesType =>
  Array.isArray(fetches)
    ? fetches
    : Object.fromEntries(
        Object.entries(fetches).map(([name, given]) => [
          name,
          given && new Tensor(given.type, given.data, given.dims),
        ]),
      );
