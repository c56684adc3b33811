import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { listen } from "./listen.mjs";

/** @type {Readonly<Record<string, string>>} */
const CONTENT_TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

/**
 * Serves a folder on this machine as hosts of static files do: compressed, and without headers of its own.
 *
 * @param {string} folder
 * @returns {Promise<{ url: string, close: () => Promise<void> }>} its address, ending in a slash; closed, it is as good as gone
 */
export async function startStaticHost(folder) {
  /** @type {Map<string, Buffer>} */
  const compressed = new Map();
  /** @param {string} path */
  const compress = async (path) => {
    const body = compressed.get(path) ?? gzipSync(await readFile(join(folder, path)), { level: 6 });
    compressed.set(path, body);
    return body;
  };
  /** @type {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => Promise<void>} */
  const answer = async ({ url = "/" }, response) => {
    const { pathname } = new URL(url, "http://host");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    try {
      const body = await compress(path);
      response.setHeader("content-type", CONTENT_TYPES[extname(path)] ?? "application/octet-stream");
      response.setHeader("content-encoding", "gzip");
      response.setHeader("content-length", body.length);
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  };
  const { url, close } = await listen((request, response) => void answer(request, response));
  return { url: `${url}/`, close };
}
