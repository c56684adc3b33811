import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { listen } from "../../../tooling/testing/listen.mjs";
import { headersOf, readServed } from "../../../tooling/testing/serve-folders.mjs";

const PAGE = '<!doctype html><link rel="icon" href="data:," /><script type="module" src="/page.js"></script>';

/** A file, or a way to answer in place of one. */
export type Served = Uint8Array | ((response: ServerResponse) => void);

export interface PageServer {
  readonly url: string;
  /** Paths that were asked for, each with its method where that is not GET. */
  readonly requests: string[];
  /** What is served by path; tests may change it. */
  readonly files: Record<string, Served>;
  close(): Promise<void>;
}

/** Serves a page with the module `/page.js`, `files` by path, and folders by prefix: ONNX Runtime's under `/ort/`. */
export async function servePage(
  files: Readonly<Record<string, Served>>,
  folders: Readonly<Record<string, string>> = {},
): Promise<PageServer> {
  const served: Record<string, Served> = { "/": new TextEncoder().encode(PAGE), ...files };
  const allFolders = { "/ort/": runtimeFolder(), ...folders };
  const requests: string[] = [];
  const reply = async (request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url!, "http://127.0.0.1").pathname;
    requests.push(request.method === "GET" ? path : `${request.method} ${path}`);
    answer(response, path, served[path] ?? (await readServed(allFolders, path)));
  };
  const { url, close } = await listen((request, response) => void reply(request, response));
  return { url: `${url}/`, close, requests, files: served };
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
