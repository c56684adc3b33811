import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** @type {Readonly<Record<string, string>>} */
const CONTENT_TYPES = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".onnx": "application/octet-stream",
  ".onnx_data": "application/octet-stream",
};

/**
 * Headers of a file: threads need a page that is isolated from other origins.
 *
 * @param {string} path
 * @returns {Readonly<Record<string, string>>}
 */
export const headersOf = (path) => ({
  "content-type": CONTENT_TYPES[path.slice(path.lastIndexOf("."))] ?? "text/html",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
});

/**
 * Reads what lies under a path.
 *
 * @param {Readonly<Record<string, string>>} folders by the prefix of their paths, such as `/ort/`
 * @param {string} path
 * @returns {Promise<Uint8Array | undefined>} nothing where there is no such file
 */
export async function readServed(folders, path) {
  const prefix = Object.keys(folders).find((start) => path.startsWith(start));
  if (prefix === undefined) return undefined;
  try {
    return await readFile(join(/** @type {string} */ (folders[prefix]), path.slice(prefix.length)));
  } catch {
    return undefined;
  }
}
