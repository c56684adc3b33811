/** The thread that runs a model. Its name says where ONNX Runtime's files are. */
import { serveRuntime } from "@kvfold/runtime-web/worker";

serveRuntime(
  (provider) => (provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm")),
  {
    wasmPaths: self.name,
    // Pages without policies never load them.
    readPolicies: async (text) => (await import("@kvfold/policies")).parsePolicies(text),
  },
);
