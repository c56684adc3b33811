import {
  type ModelSource,
  RuntimeError,
  type Session,
  type SessionOptions,
  type SessionProvider,
} from "@kvfold/runtime";
import { type ExecutionProvider, type OrtWeb, openSession } from "./web-session.js";

export declare namespace webProvider {
  interface Options {
    /** Tried in order; `["wasm"]` by default. `"webgpu"` needs the build `onnxruntime-web/webgpu` or `/jspi`. */
    readonly executionProviders?: readonly ExecutionProvider[];
    /**
     * Where ONNX Runtime finds its `.wasm` and `.mjs` files: the URL of a folder, ending in a slash. By default beside
     * its own script, which bundlers move. Sets `ort.env.wasm.wasmPaths`, which all sessions of the page share.
     */
    readonly wasmPaths?: string;
  }
}

/**
 * ONNX Runtime for browsers behind the session port. A model's `path` is a URL; one with external data is loaded by
 * `fetchModel`.
 *
 * Its sessions never write in place: on WebAssembly, outputs given to be written into are silently left as they were.
 * `threads` counts only before the first session of the page, and needs a page with `COOP: same-origin` and
 * `COEP: require-corp`; without these headers a single thread runs.
 *
 * @param ort - The module: `onnxruntime-web/wasm`, `onnxruntime-web/webgpu`, …
 *
 * @example
 * ```js
 * import * as ort from "onnxruntime-web/wasm";
 * import { createCausalLM } from "@kvfold/runtime";
 * import { fetchModel, webProvider } from "@kvfold/runtime-web";
 *
 * const provider = webProvider(ort, { wasmPaths: "/ort/" });
 * const session = await provider.createSession(await fetchModel("/model/onnx/model.onnx"));
 * const model = createCausalLM(session);
 * ```
 */
export function webProvider(
  ort: OrtWeb,
  { executionProviders = ["wasm"], wasmPaths }: webProvider.Options = {},
): SessionProvider {
  return {
    name: "onnxruntime-web",
    async createSession(source: ModelSource, options: SessionOptions = {}): Promise<Session> {
      checkSource(source);
      if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
      if (options.threads !== undefined) ort.env.wasm.numThreads = options.threads;
      return openSession(ort, executionProviders, source, options);
    },
  };
}

function checkSource(source: ModelSource): void {
  if ("path" in source ? source.path !== "" : source.bytes.length > 0) return;
  throw new RuntimeError(
    "model-unreadable",
    "createSession: expected a model's URL or bytes, found an empty one",
  );
}
