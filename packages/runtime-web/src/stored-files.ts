import type { IncomingFile, ModelFiles } from "./model-files.js";
import { checkRoom, openStorage } from "./model-storage.js";
import type { StorageUse } from "./web-model-source.js";

/** The files of one model in the browser's storage. */
export interface StoredFiles {
  /** The stored file, if it is there and good. */
  readonly find: (name: string) => Promise<IncomingFile | undefined>;
  /** Takes a file in, whole or not at all. */
  readonly keep: (name: string, file: Response) => Promise<void>;
  /** Deletes a file that cannot be used: it would fail for ever. */
  readonly forget: (name: string) => Promise<void>;
  /** Deletes what `keep` took in: the files of a model are kept together or not at all. */
  readonly discard: () => Promise<void>;
  /** @throws {RuntimeError} `storage-full` when those of these files that are missing would not fit. */
  readonly checkRoom: (files: ReadonlyMap<string, number>) => Promise<void>;
}

/** Opens the storage for a model; undefined where the browser, the model or the caller has none. */
export async function storedFiles(
  files: ModelFiles,
  use: StorageUse,
  signal: AbortSignal | undefined,
): Promise<StoredFiles | undefined> {
  const { key, isCurrent } = files;
  const cache = use === "none" || key === undefined ? undefined : await openStorage();
  if (cache === undefined || key === undefined) return undefined;
  const kept = new Set<string>();
  const match = (name: string): Promise<Response | undefined> => cache.match(key(name));
  const forget = async (name: string): Promise<void> => void (await cache.delete(key(name)));
  return {
    async find(name) {
      const response = await match(name);
      if (response?.body == null) return undefined;
      if (use === "revalidate" && (await isCurrent?.(name, response, signal)) === false) return undefined;
      const size = response.headers.get("content-length");
      return {
        stage: "read",
        body: response.body,
        byteLength: size === null ? undefined : Number(size),
        headers: {},
      };
    },
    keep(name, file) {
      kept.add(name);
      return cache.put(key(name), file);
    },
    forget,
    discard: async () => void (await Promise.all([...kept].map(forget))),
    async checkRoom(wanted) {
      let missingBytes = 0;
      for (const [name, bytes] of wanted) missingBytes += (await match(name)) === undefined ? bytes : 0;
      await checkRoom(missingBytes);
    },
  };
}
