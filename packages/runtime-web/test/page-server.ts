import { readFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";

const PAGE = '<!doctype html><link rel="icon" href="data:," /><script type="module" src="/page.js"></script>';

/** A file, or a way to answer in place of one. */
export type Served = Uint8Array | ((response: ServerResponse) => void);

export interface PageServer {
  readonly url: string;
  /** Paths that were asked for, each with its method where that is not GET. */
  readonly requests: string[];
  /** What is served by path; tests may change it. */
  readonly files: Record<string, Served>;
  close(): void;
}

/** Serves a page with the module `/page.js`, ONNX Runtime's files under `/ort/`, and `files` by path. */
export async function servePage(files: Readonly<Record<string, Served>>): Promise<PageServer> {
  const served: Record<string, Served> = { ...files };
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://127.0.0.1").pathname;
    requests.push(request.method === "GET" ? path : `${request.method} ${path}`);
    void find(path, served).then((file) => answer(response, path, file));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { url, requests, files: served, close: () => closeAll(server) };
}

async function find(path: string, files: Readonly<Record<string, Served>>): Promise<Served | undefined> {
  if (path === "/") return new TextEncoder().encode(PAGE);
  if (path.startsWith("/ort/")) return readFile(join(runtimeFolder(), basename(path)));
  return files[path];
}

const runtimeFolder = (): string => dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

function answer(response: ServerResponse, path: string, file: Served | undefined): void {
  for (const [name, value] of Object.entries(headersOf(path))) response.setHeader(name, value);
  if (typeof file === "function") file(response);
  else if (file === undefined) response.writeHead(404).end();
  else response.writeHead(200, { "content-length": file.byteLength, etag: etagOf(file) }).end(file);
}

/** Enough to tell the files of a test apart. */
const etagOf = (file: Uint8Array): string => `"${file.byteLength}-${file.at(-1) ?? 0}"`;

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

function closeAll(server: Server): void {
  server.closeAllConnections();
  server.close();
}
