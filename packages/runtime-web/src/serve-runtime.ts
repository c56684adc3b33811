import type { ExecutionProvider } from "./choose-execution-provider.js";
import type { OrtWeb } from "./ort-web.js";
import {
  type CallContext,
  type CallName,
  type Calls,
  describeFailure,
  type Reply,
  type Request,
} from "./protocol.js";
import { type PolicyReader, ServedModel } from "./served-model.js";

export declare namespace serveRuntime {
  interface Options {
    /** Where ONNX Runtime finds its `.wasm` and `.mjs` files: the URL of a folder, ending in a slash. */
    readonly wasmPaths?: string;
    /** `parsePolicies` of `@kvfold/policies`, for models that are loaded with `cache`; imported when first needed, it costs others nothing. */
    readonly readPolicies?: PolicyReader;
  }
}

/** What is used of a dedicated worker's global scope. */
interface WorkerScope {
  postMessage(message: Reply): void;
  addEventListener(type: "message", listener: (event: { readonly data: Request }) => void): void;
}

/**
 * Makes the worker that it is called in one for `createWebRuntime`: the module that calls it is the worker's script.
 *
 * @param ort - The module, or how to import it for a provider: WebAssembly alone needs less than WebGPU.
 *
 * @example
 * ```js
 * import { serveRuntime } from "@kvfold/runtime-web/worker";
 *
 * serveRuntime((provider) =>
 *   provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"),
 * );
 * ```
 */
export function serveRuntime(
  ort: OrtWeb | ((provider: ExecutionProvider) => Promise<OrtWeb>),
  { wasmPaths, readPolicies }: serveRuntime.Options = {},
): void {
  const scope = globalThis as unknown as WorkerScope;
  const importOrt = typeof ort === "function" ? ort : async () => ort;
  const model = new ServedModel({
    importOrt,
    wasmPaths,
    readPolicies,
    onLost: (error) => scope.postMessage({ type: "lost", failure: describeFailure(error) }),
  });
  const running = new Map<number, AbortController>();

  const perform = async (request: Exclude<Request, { type: "cancel" }>): Promise<Reply> => {
    const { id, type, input } = request;
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const report = (report: Calls[CallName]["report"]): void =>
        scope.postMessage({ type: "report", id, report });
      const call = model[type].bind(model) as (
        input: Calls[CallName]["input"],
        context: CallContext<CallName>,
      ) => Promise<Calls[CallName]["result"]>;
      return { type: "result", id, result: await call(input, { report, signal: controller.signal }) };
    } catch (error) {
      return { type: "failure", id, failure: describeFailure(error) };
    } finally {
      running.delete(id);
    }
  };

  scope.addEventListener("message", ({ data: request }) => {
    if (request.type === "cancel") running.get(request.id)?.abort();
    else void perform(request).then((reply) => scope.postMessage(reply));
  });
}
