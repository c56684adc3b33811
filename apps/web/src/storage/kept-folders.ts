import type { FoldPlan } from "@kvfold/converter";
import type { LayerEnergy } from "../fold/fold-request.js";
import type { ModelFiles } from "../models/model-files.js";

/** What a folder in the browser's storage holds. */
export type KeptRecord =
  | {
      readonly kind: "checkpoint";
      /** `owner/name` on a Hub. */
      readonly model: string;
      readonly commit: string;
    }
  | { readonly kind: "incomplete" }
  | {
      readonly kind: "prepared";
      readonly model: string;
      /** `original`, or what the page calls the fold. */
      readonly label: string;
      /** Tells the original from other models of that name (`modelIdentity`). */
      readonly identity: string;
      readonly embedded: boolean;
      readonly plan: FoldPlan;
      readonly energy: readonly LayerEnergy[];
      readonly seconds: number;
    };

export interface KeptFolder {
  readonly id: string;
  readonly record: KeptRecord;
  readonly bytes: number;
}

/** Written last: a folder without it is not complete. */
const RECORD = "kept.json";
const PLACE = "kvfold-folders";

/** What of the browser's private file system is used; tests bring their own. */
export type Folder = FileSystemDirectoryHandle;

/**
 * The folder of all kept folders.
 *
 * @throws {Error} where the browser has no storage for this page.
 */
export async function openStorage(): Promise<Folder> {
  const root = await globalThis.navigator?.storage?.getDirectory?.();
  if (root !== undefined) return root.getDirectoryHandle(PLACE, { create: true });
  throw new Error(
    "this browser has no storage for this page; open it over HTTPS, outside of a private window",
  );
}

/** Where the files of a folder go; a record that it had is gone first, so that it is not taken for complete. */
export async function openFolder(storage: Folder, id: string): Promise<Folder> {
  const folder = await storage.getDirectoryHandle(encodeURIComponent(id), { create: true });
  await removeIfThere(folder, RECORD);
  return folder;
}

/**
 * Writes a file as its bytes come, so that it never lies in memory as a whole. It appears complete or not at all.
 *
 * @throws {Error} where the storage is full; what `signal` aborts with, and what the stream fails with.
 */
export async function writeFile(
  folder: Folder,
  path: string,
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal?: AbortSignal,
): Promise<void> {
  const parts = path.split("/");
  let parent = folder;
  for (const part of parts.slice(0, -1)) parent = await parent.getDirectoryHandle(part, { create: true });
  const file = await parent.getFileHandle(parts.at(-1)!, { create: true });
  try {
    await bytes.pipeTo(await file.createWritable(), signal === undefined ? {} : { signal });
  } catch (cause) {
    // An empty file is left where there was none before.
    await removeIfThere(parent, parts.at(-1)!);
    throw isFull(cause) ? storageFull(path, cause) : cause;
  }
}

const isFull = (error: unknown): boolean => error instanceof Error && error.name === "QuotaExceededError";

const storageFull = (path: string, cause: unknown): Error =>
  new Error(`the browser's storage has no room for ${path}; delete kept models, or free disk space`, {
    cause,
  });

/** Makes a folder complete. */
export const finishFolder = (folder: Folder, record: KeptRecord): Promise<void> =>
  writeFile(folder, RECORD, new Blob([JSON.stringify(record)]).stream());

/** Writes a folder as a whole. What a failure leaves is removed. */
export async function keepFolder(
  storage: Folder,
  id: string,
  record: KeptRecord,
  files: ModelFiles,
): Promise<void> {
  const folder = await openFolder(storage, id);
  try {
    for (const [path, blob] of files) await writeFile(folder, path, blob.stream());
    await finishFolder(folder, record);
  } catch (error) {
    await deleteFolder(storage, id);
    throw error;
  }
}

/** All folders that hold files, also those that are not complete: they take room, too. */
export async function listFolders(storage: Folder): Promise<readonly KeptFolder[]> {
  const found: KeptFolder[] = [];
  for await (const [name, handle] of storage.entries()) {
    if (handle.kind !== "directory") continue;
    const files = await filesIn(handle as Folder);
    if (files.size === 0) continue;
    const bytes = [...files.values()].reduce((sum, { size }) => sum + size, 0);
    found.push({ id: decodeURIComponent(name), record: await readRecord(files), bytes });
  }
  return found.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** The files of a folder, which stay on disk until they are read; without any where there is no such folder. */
export async function readFolder(storage: Folder, id: string): Promise<ModelFiles> {
  const folder = await storage.getDirectoryHandle(encodeURIComponent(id)).catch(() => undefined);
  const files = folder === undefined ? new Map<string, File>() : await filesIn(folder);
  files.delete(RECORD);
  return files;
}

export const deleteFolder = (storage: Folder, id: string): Promise<void> =>
  removeIfThere(storage, encodeURIComponent(id));

async function filesIn(folder: Folder, prefix = ""): Promise<Map<string, File>> {
  const files = new Map<string, File>();
  for await (const [name, handle] of folder.entries()) {
    const path = prefix + name;
    if (handle.kind === "file") files.set(path, await (handle as FileSystemFileHandle).getFile());
    else for (const entry of await filesIn(handle as Folder, `${path}/`)) files.set(...entry);
  }
  return files;
}

async function readRecord(files: ModelFiles): Promise<KeptRecord> {
  const text = await files.get(RECORD)?.text();
  return text === undefined ? { kind: "incomplete" } : (JSON.parse(text) as KeptRecord);
}

const removeIfThere = (folder: Folder, name: string): Promise<void> =>
  folder.removeEntry(name, { recursive: true }).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === "NotFoundError")) throw error;
  });
