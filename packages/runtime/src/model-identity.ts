import type { ByteSource } from "@kvfold/safetensors";
import { RuntimeError } from "./runtime-error.js";

/** Bytes that are hashed at a time: a bound on memory. */
const CHUNK_BYTES = 16 * 2 ** 20;

/**
 * What tells a model from all others, to save and load caches with: a cache fits only the weights that made it. It is the
 * SHA-256 of a list of hashes, in 64 hexadecimal digits: that of the graph's bytes, and of each data file the name, the
 * size and the hashes of its parts of 16 MiB. Every byte counts, since two folds of a model may differ in a few tensors in
 * the middle of their files.
 *
 * @param graph - The `.onnx` file that is run.
 * @param data - The files of its weights, by the names that the graph gives them, in any order.
 * @throws {RuntimeError} `runtime-missing` where there is no Web Crypto: in pages without HTTPS.
 *
 * @example
 * ```ts
 * import { modelIdentity } from "@kvfold/runtime";
 * import { bytesSource } from "@kvfold/safetensors";
 *
 * const identity = await modelIdentity(bytesSource(Uint8Array.of(1)), new Map());
 * identity.length // => 64
 * ```
 */
export async function modelIdentity(
  graph: ByteSource,
  data: ReadonlyMap<string, ByteSource>,
): Promise<string> {
  const lines = [await hashParts(graph)];
  for (const [name, source] of [...data].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    lines.push(JSON.stringify([name, source.byteLength, await hashParts(source)]));
  return sha256(new globals.TextEncoder().encode(lines.join("\n")));
}

async function hashParts(source: ByteSource): Promise<string> {
  const parts: string[] = [];
  for (let start = 0; start < source.byteLength; start += CHUNK_BYTES)
    parts.push(await sha256(await source.read(start, Math.min(start + CHUNK_BYTES, source.byteLength))));
  return parts.join(" ");
}

/** What is used of the globals that Node and browsers share. */
interface Globals {
  readonly crypto?: {
    readonly subtle?: { digest(algorithm: string, data: Uint8Array): Promise<ArrayBuffer> };
  };
  readonly TextEncoder: new () => { encode(text: string): Uint8Array };
}

const globals = globalThis as unknown as Globals;

async function sha256(bytes: Uint8Array): Promise<string> {
  const subtle = globals.crypto?.subtle;
  if (subtle === undefined)
    throw new RuntimeError(
      "runtime-missing",
      "modelIdentity: expected Web Crypto, found none: open the page over HTTPS or on localhost",
    );
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
