import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { listen } from "../../tooling/testing/listen.mjs";
import { headersOf, readServed } from "../../tooling/testing/serve-folders.mjs";

const PAGE = '<!doctype html><link rel="icon" href="data:," />';

/** Serves the workers of this folder, the models under `folder` as kvfold writes them, and two ONNX Runtimes. */
export async function serveTab(folder) {
  const folders = {
    "/models/": folder,
    "/ort/": dirname(resolveFrom(import.meta.url, "onnxruntime-web/wasm")),
    // It brings an ONNX Runtime of its own.
    "/transformers-ort/": dirname(
      resolveFrom(resolveFrom(import.meta.url, "@huggingface/transformers"), "onnxruntime-web/webgpu"),
    ),
  };
  const scripts = await bundleWorkers(["kvfold", "transformers-js"]);
  const answer = async (request, response) => {
    const path = new URL(request.url, "http://127.0.0.1").pathname;
    const file = path === "/" ? PAGE : (scripts[path] ?? (await readServed(folders, path)));
    for (const [name, value] of Object.entries(headersOf(path))) response.setHeader(name, value);
    response.writeHead(file === undefined ? 404 : 200).end(file);
  };
  const { url, close } = await listen((request, response) => void answer(request, response));
  return { url: `${url}/`, close };
}

const resolveFrom = (from, specifier) => createRequire(from).resolve(specifier);

/** Bundled as for an application, from the built packages; files by path. */
async function bundleWorkers(names) {
  const { outputFiles } = await build({
    entryPoints: names.map((name) => fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))),
    outdir: "/",
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    write: false,
    // ONNX Runtime's own files are served beside the bundle instead of inside it.
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "error",
  });
  return Object.fromEntries(outputFiles.map(({ path, contents }) => [path, contents]));
}
