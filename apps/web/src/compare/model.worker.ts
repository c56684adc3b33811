/** The thread that runs a model. Its name says where ONNX Runtime's files are. */
import { serveRuntime } from "@kvfold/runtime-web/worker";

serveRuntime(
  (provider) => (provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm")),
  { wasmPaths: self.name },
);
