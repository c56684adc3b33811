import type { ModelFiles } from "./model-files.js";

/** A folder that the user gave, by dropping it or with a file dialogue, or the one that comes with the page. */
export interface PickedFolder {
  readonly name: string;
  readonly files: ModelFiles;
  /** It is the model that comes with the page. */
  readonly embedded?: boolean;
}

/** What was dropped: a folder with all that is in it, or single files. */
export async function droppedFolder(items: DataTransferItemList): Promise<PickedFolder> {
  // Entries are gone after the first await.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = new Map<string, Blob>();
  const [only] = entries;
  const root = entries.length === 1 && only?.isDirectory ? only : undefined;
  for (const entry of root === undefined ? entries : await childrenOf(root as FileSystemDirectoryEntry))
    await collect(entry, "", files);
  return { name: root?.name ?? "dropped files", files };
}

/** The folder of an `<input webkitdirectory>`. */
export function pickedFolder(list: FileList): PickedFolder {
  const files = [...list];
  const [root = "folder"] = files[0]?.webkitRelativePath.split("/") ?? [];
  return {
    name: root,
    files: new Map(files.map((file) => [file.webkitRelativePath.slice(root.length + 1) || file.name, file])),
  };
}

async function collect(entry: FileSystemEntry, folder: string, files: Map<string, Blob>): Promise<void> {
  const path = folder + entry.name;
  if (entry.isFile) files.set(path, await fileOf(entry as FileSystemFileEntry));
  else
    for (const child of await childrenOf(entry as FileSystemDirectoryEntry))
      await collect(child, `${path}/`, files);
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> =>
  new Promise((resolve, reject) => entry.file(resolve, reject));

/** A reader gives a folder's entries in portions, an empty one last. */
async function childrenOf(entry: FileSystemDirectoryEntry): Promise<readonly FileSystemEntry[]> {
  const reader = entry.createReader();
  const children: FileSystemEntry[] = [];
  for (;;) {
    const portion = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (portion.length === 0) return children;
    children.push(...portion);
  }
}
