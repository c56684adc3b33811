/** The thread that folds: converter, calibration and linear algebra as they are, on ONNX Runtime's WebAssembly. */
import { webProvider } from "@kvfold/runtime-web";
import * as ort from "onnxruntime-web/wasm";
import { foldFiles } from "./fold-files.js";
import type { FoldFailure, FoldMessage, FoldRequest } from "./fold-request.js";

const post = (message: FoldMessage): void => self.postMessage(message);

self.addEventListener("message", ({ data }: MessageEvent<FoldRequest>) => {
  const provider = webProvider(ort, { wasmPaths: data.runtimeUrl });
  foldFiles(data, provider, {
    onProgress: (progress, layers) => post({ type: "progress", progress, layers }),
    onEnergy: (layer, energy) => post({ type: "energy", layer, energy }),
  }).then(
    (result) => post({ type: "done", result }),
    (error: unknown) => post({ type: "failed", failure: describe(error) }),
  );
});

function describe(error: unknown): FoldFailure {
  if (!(error instanceof Error)) return { code: "unknown", message: String(error) };
  return { code: "code" in error ? String(error.code) : error.name, message: error.message };
}
