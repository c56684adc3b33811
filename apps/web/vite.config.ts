import { defineConfig } from "vite";
import { crossOriginIsolation, demoAssets, runtimeFiles } from "./build/plugins.js";
import { prerender } from "./build/prerender.js";
import { publishedQuality } from "./build/published-quality.js";
import { serviceWorker } from "./build/service-worker.js";

export default defineConfig({
  base: "./",
  plugins: [
    publishedQuality(),
    demoAssets(),
    runtimeFiles(),
    crossOriginIsolation(),
    prerender(),
    serviceWorker(),
  ],
  resolve: {
    // ONNX Runtime's own files are served beside the bundle instead of inside it.
    conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"],
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  build: { target: "es2022" },
});
