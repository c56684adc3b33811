import { createWebRuntime, type WebModel } from "@kvfold/runtime-web";
import type { ModelFiles } from "../models/model-files.js";

const runtime = createWebRuntime({
  worker: () =>
    new Worker(new URL("./model.worker.ts", import.meta.url), {
      type: "module",
      name: new URL("ort/", document.baseURI).href,
    }),
});

const FOLDER = "onnx/";

/** Loads a model that the page made, in a worker of its own. */
export async function loadModel(
  files: ModelFiles,
  options: Omit<createWebRuntime.LoadOptions, "storage">,
): Promise<WebModel> {
  const parts = [...files].filter(([path]) => path.startsWith(FOLDER));
  const named = parts.map(([path, blob]) => new File([blob], path.slice(FOLDER.length)));
  return runtime.load({ files: named }, { ...options, storage: "none" });
}
