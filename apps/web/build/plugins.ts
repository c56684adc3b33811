import { createReadStream } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Connect, Plugin, PreviewServer, ViteDevServer } from "vite";

const assets = fileURLToPath(new URL("../../../assets/", import.meta.url));

/** The embedded model and two texts, under `demo/`: the page needs no other server. */
export const demoAssets = (): Plugin =>
  serveFolder("demo", {
    "prose-6m/config.json": join(assets, "models/prose-6m/config.json"),
    "prose-6m/model.safetensors": join(assets, "models/prose-6m/model.safetensors"),
    "prose-6m/tokenizer.json": join(assets, "models/prose-6m/tokenizer.json"),
    "prose-6m/tokenizer_config.json": join(assets, "models/prose-6m/tokenizer_config.json"),
    "calibration.txt": join(assets, "text/the-thirty-nine-steps.txt"),
    "validation.txt": join(assets, "text/sunshine-sketches.txt"),
  });

/** What `onnxruntime-web` loads at run time, under `ort/`. */
export function runtimeFiles(): Plugin {
  const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/webgpu"));
  const names = ["ort-wasm-simd-threaded.asyncify", "ort-wasm-simd-threaded"].flatMap((name) => [
    `${name}.mjs`,
    `${name}.wasm`,
  ]);
  return serveFolder("ort", Object.fromEntries(names.map((name) => [name, join(folder, name)])));
}

/** Threads of WebAssembly need a page that is isolated from other origins. */
export const crossOriginIsolation = (): Plugin => {
  const isolate: Connect.NextHandleFunction = (_request, response, next) => {
    response.setHeader("cross-origin-opener-policy", "same-origin");
    response.setHeader("cross-origin-embedder-policy", "require-corp");
    next();
  };
  const configure = (server: ViteDevServer | PreviewServer) => void server.middlewares.use(isolate);
  return { name: "cross-origin-isolation", configureServer: configure, configurePreviewServer: configure };
};

/** Files under `/prefix/`: read where they lie by the development server, copied by the build. */
function serveFolder(prefix: string, files: Readonly<Record<string, string>>): Plugin {
  return {
    name: `serve-${prefix}`,
    configureServer(server) {
      server.middlewares.use(`/${prefix}/`, (request, response, next) => {
        const path = files[new URL(request.url!, "http://page").pathname.slice(1)];
        if (path === undefined) return next();
        response.setHeader("content-type", contentType(path));
        createReadStream(path).pipe(response);
      });
    },
    async writeBundle({ dir }) {
      for (const [name, path] of Object.entries(files)) {
        const place = join(dir!, prefix, name);
        await mkdir(dirname(place), { recursive: true });
        await copyFile(path, place);
      }
    },
  };
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  mjs: "text/javascript",
  wasm: "application/wasm",
  json: "application/json",
  txt: "text/plain; charset=utf-8",
};

const contentType = (path: string): string =>
  CONTENT_TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream";
