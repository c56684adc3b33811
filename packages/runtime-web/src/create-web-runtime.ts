import { type Generation, type Perplexity, type perplexity, RuntimeError } from "@kvfold/runtime";
import type { ExecutionProvider } from "./choose-execution-provider.js";
import type { LoadedModel } from "./protocol.js";
import { streamTokens } from "./stream-tokens.js";
import type { LoadProgress, StorageUse, WebModelSource } from "./web-model-source.js";
import { WorkerConnection } from "./worker-connection.js";

export declare namespace createWebRuntime {
  interface Options {
    /** Starts a worker whose script calls `serveRuntime`; once for every model. */
    readonly worker: () => Worker;
  }
  interface LoadOptions {
    /** `auto` unless given: see `chooseExecutionProvider`. */
    readonly executionProvider?: ExecutionProvider | "auto";
    /** `keep` unless given. */
    readonly storage?: StorageUse;
    /** Positions that the model was trained on; no limit by default. */
    readonly maxPositions?: number;
    /**
     * Policies that drop tokens of the cache, as `parsePolicies` of `@kvfold/policies` reads them: `keydiff:0.5`. The source has
     * to name a policy graph, such as `model_policy.onnx`, and the worker needs `readPolicies`; WebAssembly runs the model.
     */
    readonly cache?: string | undefined;
    readonly onProgress?: (progress: LoadProgress) => void;
    /** Called when the model cannot go on: `device-lost`, or its worker broke. All that it held is freed by then. */
    readonly onLost?: (error: Error) => void;
    readonly signal?: AbortSignal;
  }
  type GenerateOptions = streamTokens.Options;
  interface PerplexityOptions extends Pick<perplexity.Options, "onWindow"> {
    readonly signal?: AbortSignal | undefined;
  }
}

/** Loads models, each into a worker of its own. */
export interface WebRuntime {
  /**
   * Reads a model and prepares it. An abort or an error leaves nothing behind.
   *
   * @throws {RuntimeError} as `readModelSource`; `session-failed`, `runtime-missing`, `unsupported-model`, `device-lost`.
   */
  load(source: WebModelSource, options?: createWebRuntime.LoadOptions): Promise<WebModel>;
}

/** A language model that runs in a worker. */
export interface WebModel extends LoadedModel {
  /**
   * Continues a prompt as `generate` of `@kvfold/runtime` does. Leaving the loop, or the signal, stops the worker between
   * two steps.
   *
   * @throws {RuntimeError} as `generate`; `device-lost`, `disposed`.
   */
  generate(prompt: ArrayLike<number>, options?: createWebRuntime.GenerateOptions): Generation;
  /**
   * Keeps the cache of the conversation that `generate` went on in with `keep`, under a name in the browser's private file
   * system. The last token drawn is not in it: the model has not read it.
   *
   * @throws {RuntimeError} `unsupported-model` for a cache in the memory of a GPU; `storage-full`, `busy`, and
   *   `runtime-missing` in a page without HTTPS.
   */
  saveCache(name: string): Promise<void>;
  /**
   * Goes on with a cache that was kept, also by an earlier page: `generate` with `keep` reads it no more.
   *
   * @returns Its tokens, for the next prompt to begin with.
   * @throws {RuntimeError} `cache-unreadable` when there is none of that name, or it is damaged or of another model; and as
   *   `saveCache`.
   */
  loadCache(name: string): Promise<readonly number[]>;
  /** Perplexity as that of `@kvfold/runtime`. Throws as it and `generate` do. */
  perplexity(
    windows: Iterable<ArrayLike<number>>,
    options?: createWebRuntime.PerplexityOptions,
  ): Promise<Perplexity>;
  /** Ends the worker at once, and so frees all that the model holds. */
  dispose(): void;
}

/**
 * Runs language models beside the page, which stays responsive: reading, decoding and measuring all happen in workers.
 *
 * @example
 * ```js
 * // worker.js
 * import * as ort from "onnxruntime-web/webgpu";
 * import { serveRuntime } from "@kvfold/runtime-web/worker";
 * serveRuntime(ort, { wasmPaths: "/ort/" });
 *
 * // page.js
 * import { createWebRuntime } from "@kvfold/runtime-web";
 * const runtime = createWebRuntime({
 *   worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
 * });
 * const model = await runtime.load({ url: "/model/onnx/model.onnx" }, { onProgress: showProgress });
 * show(model.reason); // "WebGPU, on apple metal-3."
 * for await (const token of model.generate(promptIds, { maxNewTokens: 64 })) show(token);
 * model.dispose();
 * ```
 */
export const createWebRuntime = ({ worker }: createWebRuntime.Options): WebRuntime => ({
  async load(source, options = {}) {
    const { executionProvider = "auto", storage = "keep", maxPositions = Number.POSITIVE_INFINITY } = options;
    const { onProgress, onLost = () => {}, signal, cache } = options;
    const connection = new WorkerConnection(worker(), onLost);
    try {
      const input = { source: absolute(source), storage, executionProvider, maxPositions, cache };
      return webModel(connection, await connection.call("load", input, { onReport: onProgress, signal }));
    } catch (error) {
      connection.end(error as Error);
      throw error;
    }
  },
});

/** A worker would take an address as relative to its script. */
const absolute = (source: WebModelSource): WebModelSource =>
  "url" in source ? { url: new URL(source.url, globalThis.document?.baseURI).href } : source;

const webModel = (connection: WorkerConnection, loaded: LoadedModel): WebModel => ({
  ...loaded,
  generate: (prompt, options = {}) => streamTokens(connection, prompt, options),
  saveCache: (name) => connection.call("saveCache", { name }),
  loadCache: (name) => connection.call("loadCache", { name }),
  perplexity: (windows, { onWindow, signal } = {}) => {
    let index = 0;
    return connection.call(
      "perplexity",
      { windows: Array.from(windows, (window) => Array.from(window)) },
      { onReport: (soFar) => onWindow?.(index++, soFar), signal },
    );
  },
  dispose: () => connection.end(new RuntimeError("disposed", "the model was disposed: load it again")),
});
