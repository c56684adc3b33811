import { type ModelSource, RuntimeError, type SessionOptions, type SessionProvider } from "@kvfold/runtime";
import type { ExecutionProvider } from "./choose-execution-provider.js";
import type { OrtWeb } from "./ort-web.js";
import { readModelSource } from "./read-model-source.js";
import type { ModelBytes } from "./web-model-source.js";
import { openSession, type WebSession } from "./web-session.js";

export declare namespace webProvider {
  interface Options {
    /** `"wasm"` by default. `"webgpu"` needs the build `onnxruntime-web/webgpu` or `/jspi`. */
    readonly executionProvider?: ExecutionProvider;
    /**
     * Where ONNX Runtime finds its `.wasm` and `.mjs` files: the URL of a folder, ending in a slash. By default beside
     * its own script, which bundlers move. Sets `ort.env.wasm.wasmPaths`, which all sessions of the page share.
     */
    readonly wasmPaths?: string | undefined;
  }
}

/** A provider whose sessions tell when their GPU is lost. */
export interface WebProvider extends SessionProvider {
  createSession(source: ModelSource, options?: SessionOptions): Promise<WebSession>;
}

/**
 * ONNX Runtime for browsers behind the session port. A model's `path` is a URL, which is read with the files of its
 * weights and not kept; `readModelSource` keeps them.
 *
 * With WebGPU, caches live on the GPU and are written in place where the graph allows it. With WebAssembly nothing is:
 * outputs given to be written into are silently left as they were. `threads` counts only before the first session of the
 * page, and needs a page with `COOP: same-origin` and `COEP: require-corp`; without these headers a single thread runs.
 *
 * @param ort - The module: `onnxruntime-web/wasm`, `onnxruntime-web/webgpu`, …
 *
 * @example
 * ```js
 * import * as ort from "onnxruntime-web/webgpu";
 * import { createCausalLM } from "@kvfold/runtime";
 * import { readModelSource, webProvider } from "@kvfold/runtime-web";
 *
 * const provider = webProvider(ort, { executionProvider: "webgpu", wasmPaths: "/ort/" });
 * const session = await provider.createSession(await readModelSource({ url: "/model/onnx/model.onnx" }));
 * const model = createCausalLM(session);
 * ```
 */
export function webProvider(
  ort: OrtWeb,
  { executionProvider = "wasm", wasmPaths }: webProvider.Options = {},
): WebProvider {
  return {
    name: "onnxruntime-web",
    async createSession(source, options = {}) {
      const bytes = await readBytes(source);
      if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
      if (options.threads !== undefined) ort.env.wasm.numThreads = options.threads;
      return openSession(ort, executionProvider, bytes, options);
    },
  };
}

async function readBytes(source: ModelSource): Promise<ModelBytes> {
  if ("path" in source && source.path !== "")
    return readModelSource({ url: source.path }, { storage: "none" });
  if ("bytes" in source && source.bytes.length > 0) return source;
  throw new RuntimeError(
    "model-unreadable",
    "createSession: expected a model's URL or bytes, found an empty one",
  );
}
