import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { FolderSource } from "@kvfold/decoder";
import { bytesSource } from "@kvfold/safetensors";
import { EMPTY_FOLDER, type FuzzCase, type FuzzFile } from "./fuzz-case.js";

/** Files as the product finds them on a disk, in a folder that is emptied first. */
export function writeFiles({ files }: Pick<FuzzCase, "files">, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of files) {
    const path = join(folder, name);
    if (content === EMPTY_FOLDER) mkdirSync(path);
    else if (typeof content === "object" && "link" in content) symlinkSync(content.link, path);
    else writeFileSync(path, content);
  }
}

/** Whether files can be tried without a disk, which is quicker: folders and broken text are the disk's own. */
export const fitInMemory = ({ files }: Pick<FuzzCase, "files">): boolean =>
  [...files].every(
    ([name, content]) => content !== EMPTY_FOLDER && (typeof content === "string" || !name.endsWith(".json")),
  );

/** Files in memory as a checkpoint's folder. */
export function memoryFolder({ files }: Pick<FuzzCase, "files">): FolderSource {
  return {
    name: "MODEL",
    readText: async (file) => files.get(file) as string | undefined,
    openBytes: async (file) => {
      const content = files.get(file);
      return content === undefined || content === EMPTY_FOLDER ? undefined : bytesSource(bytesOf(content));
    },
  };
}

const linked = new Map<string, Uint8Array>();

function bytesOf(content: Exclude<FuzzFile, typeof EMPTY_FOLDER>): Uint8Array {
  if (typeof content === "string") return new TextEncoder().encode(content);
  if (!("link" in content)) return content;
  const bytes = linked.get(content.link) ?? new Uint8Array(readFileSync(content.link));
  linked.set(content.link, bytes);
  return bytes;
}

/** A folder that nothing may leave. */
export function confined(source: FolderSource): FolderSource {
  const check = (file: string) => {
    if (basename(file) !== file || file === "..") throw new Error(`left the folder: ${file}`);
    return file;
  };
  return {
    name: "MODEL",
    readText: async (file) => source.readText(check(file)),
    openBytes: async (file) => source.openBytes(check(file)),
  };
}
