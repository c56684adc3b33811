import { createWebRuntime, type WebModel } from "@kvfold/runtime-web";
import type { ModelFiles } from "../models/model-files.js";
import type { CachePolicy } from "./cache-policies.js";
import { requireGraph } from "./cache-policies.js";

const runtime = createWebRuntime({
  worker: () =>
    new Worker(new URL("./model.worker.ts", import.meta.url), {
      type: "module",
      name: new URL("ort/", document.baseURI).href,
    }),
});

const FOLDER = "onnx/";

/** Loads a model that the page made, in a worker of its own; under a policy on WebAssembly, whatever runs others. */
export async function loadModel(
  files: ModelFiles,
  policy: CachePolicy | undefined,
  options: Omit<createWebRuntime.LoadOptions, "storage" | "cache">,
): Promise<WebModel> {
  if (policy !== undefined) requireGraph(files, policy);
  const parts = [...files].filter(([path]) => path.startsWith(FOLDER));
  const named = parts.map(([path, blob]) => new File([blob], path.slice(FOLDER.length)));
  if (policy === undefined) return runtime.load({ files: named }, { ...options, storage: "none" });
  const { graph: model, cache } = policy;
  const underPolicy = { ...options, cache, executionProvider: "wasm", storage: "none" } as const;
  return runtime.load({ files: named, model }, underPolicy);
}
