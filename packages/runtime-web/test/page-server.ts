import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";

const PAGE = '<!doctype html><link rel="icon" href="data:," /><script type="module" src="/page.js"></script>';

/** Serves a page with the module `/page.js`, ONNX Runtime's files under `/ort/`, and `files` by path. */
export async function servePage(
  files: Readonly<Record<string, Uint8Array>>,
): Promise<{ url: string; server: Server }> {
  const runtimeFolder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    if (path === "/") return new TextEncoder().encode(PAGE);
    if (path.startsWith("/ort/")) return readFile(join(runtimeFolder, basename(path)));
    return files[path];
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://127.0.0.1").pathname;
    void read(path).then((body) =>
      response.writeHead(body === undefined ? 404 : 200, headersOf(path)).end(body),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}

/** Threads need a page that is isolated from other origins. */
const headersOf = (path: string): Readonly<Record<string, string>> => ({
  "content-type": CONTENT_TYPES[path.slice(path.lastIndexOf("."))] ?? "text/html",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
});

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".onnx": "application/octet-stream",
  ".onnx_data": "application/octet-stream",
};
