import { formatBytes, RuntimeError } from "@kvfold/runtime";

/**
 * Models are kept in the Cache API rather than in the origin's private file system: it takes a file as a stream, makes
 * it visible whole or not at all, lets two tabs do so at once, and knows files by their address.
 */
const CACHE_NAME = "kvfold-models";

/** A domain that never resolves (RFC 6761), for models without an address. */
const KEPT_ORIGIN = "https://kept.invalid";

/** The address under which a file of a kept model is stored; the graph's has no name. */
export const keptUrl = (model: string, file: string): string =>
  `${KEPT_ORIGIN}/${encodeURIComponent(model)}/${encodeURIComponent(file)}`;

/** Opens the storage; undefined where the browser has none for this page: without HTTPS, or in some private windows. */
export const openStorage = async (): Promise<Cache | undefined> =>
  globalThis.caches?.open(CACHE_NAME).catch(() => undefined);

/**
 * Deletes all models that this origin keeps in the browser's storage, those of `readModelSource` and of `WebRuntime.load`.
 *
 * @returns Whether there were any.
 */
export const deleteStoredModels = async (): Promise<boolean> =>
  (await globalThis.caches?.delete(CACHE_NAME)) ?? false;

/**
 * Makes sure of room before a download rather than at its end, as far as browsers say how much there is: Chromium names
 * at least 10 GB whatever the disk has.
 *
 * @throws {RuntimeError} `storage-full` when the browser would not store as much.
 */
export async function checkRoom(neededBytes: number): Promise<void> {
  const { quota, usage = 0 } = (await globalThis.navigator?.storage?.estimate()) ?? {};
  if (quota === undefined || quota - usage >= neededBytes) return;
  throw storageFull(formatBytes(neededBytes), formatBytes(Math.max(0, quota - usage)));
}

/** What a full storage is reported as. */
export const storageFull = (needed: string, found: string, cause?: unknown): RuntimeError =>
  new RuntimeError(
    "storage-full",
    `expected room for ${needed} in the browser's storage, found ${found}: free some with deleteStoredModels(), ` +
      'or load with storage: "none"',
    { cause },
  );
