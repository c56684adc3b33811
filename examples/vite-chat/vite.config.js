import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** transformers.js brings an ONNX Runtime of its own, and takes these files of it from a CDN unless they are served. */
const transformers = createRequire(import.meta.url).resolve("@huggingface/transformers");
const runtime = dirname(createRequire(transformers).resolve("onnxruntime-web/webgpu"));
const FILES = ["ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"];
const TYPES = { mjs: "text/javascript", wasm: "application/wasm" };

const serveRuntime = {
  name: "serve ONNX Runtime",
  configureServer({ middlewares }) {
    for (const file of FILES) {
      middlewares.use(`/ort/${file}`, async (_request, response) => {
        response.setHeader("content-type", TYPES[file.split(".").at(-1)]);
        response.end(await readFile(join(runtime, file)));
      });
    }
  },
  async generateBundle() {
    for (const file of FILES) {
      const source = await readFile(join(runtime, file));
      this.emitFile({ type: "asset", fileName: `ort/${file}`, source });
    }
  },
};

/** @type {import("vite").UserConfig} */
export default {
  // A file that the model does not have is a 404, where an app of one page would send the page itself.
  appType: "mpa",
  plugins: [serveRuntime],
  worker: { format: "es" },
  // The model's folder is copied to `public/model`.
  build: { chunkSizeWarningLimit: 4096 },
};
