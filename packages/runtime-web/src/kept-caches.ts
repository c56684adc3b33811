import { RuntimeError, type SavedCache } from "@kvfold/runtime";
import { storageFull } from "./model-storage.js";

/** In the origin's private file system: unlike the Cache API it gives parts of a file without reading the whole. */
const FOLDER = "kvfold-caches";

/** Bytes that are read in parts. */
interface FileBytes {
  readonly byteLength: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

/**
 * Keeps a cache under a name; one of that name is replaced when all is written.
 *
 * @throws {RuntimeError} `storage-full`; `runtime-missing` where the browser has no such storage for this page.
 */
export async function keepCache(name: string, { pieces, byteLength }: SavedCache): Promise<void> {
  const file = await (await openFolder()).getFileHandle(encodeURIComponent(name), { create: true });
  // It writes to a file of its own, which takes the name when it is closed.
  const stream = await file.createWritable();
  try {
    // Copied a head at a time: streams take nothing from memory that may grow.
    for (const piece of pieces) await stream.write(new Uint8Array(piece));
    await stream.close();
  } catch (cause) {
    await stream.abort().catch(() => {});
    if (cause instanceof DOMException && cause.name === "QuotaExceededError")
      throw storageFull(`a cache of ${byteLength} bytes`, "too little", cause);
    throw cause;
  }
}

/**
 * Opens a cache that was kept.
 *
 * @throws {RuntimeError} `cache-unreadable` when there is none of that name; `runtime-missing` as `keepCache`.
 */
export async function openKeptCache(name: string): Promise<FileBytes> {
  const folder = await openFolder();
  const handle = await folder.getFileHandle(encodeURIComponent(name)).catch((cause: unknown) => {
    throw new RuntimeError(
      "cache-unreadable",
      `expected a cache kept as ${name}, found none: keep one with saveCache`,
      { cause },
    );
  });
  const file = await handle.getFile();
  return {
    byteLength: file.size,
    read: async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer()),
  };
}

async function openFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await globalThis.navigator?.storage?.getDirectory?.();
  if (root !== undefined) return root.getDirectoryHandle(FOLDER, { create: true });
  throw new RuntimeError(
    "runtime-missing",
    "expected a private file system for this page, found none: open the page over HTTPS or on localhost",
  );
}
