import type { Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileSource } from "@kvfold/safetensors/node";
import type { FolderSource } from "../checkpoint/checkpoint.js";
import { DecoderError } from "../decoder-error.js";

/**
 * A directory on disk as a checkpoint's folder.
 *
 * @throws {DecoderError} `malformed-checkpoint` when the directory does not exist or a text file is not UTF-8,
 * `unreadable-checkpoint` when the file system refuses to say.
 */
export async function directorySource(path: string): Promise<FolderSource> {
  const info = await statIfThere(path);
  if (info === undefined) throw new DecoderError("malformed-checkpoint", `${path}: no such directory`);
  if (!info.isDirectory())
    throw new DecoderError("malformed-checkpoint", `${path}: expected a directory, found a file`);
  return {
    name: path,
    readText: (file) => readUtf8(join(path, file)),
    openBytes: async (file) => ((await exists(join(path, file))) ? fileSource(join(path, file)) : undefined),
  };
}

/**
 * The text of a UTF-8 file, or `undefined` when there is no such file.
 *
 * @throws {DecoderError} `malformed-checkpoint` when it is not UTF-8, `unreadable-checkpoint` when it cannot be read.
 */
export async function readUtf8(path: string): Promise<string | undefined> {
  if (!(await exists(path))) return undefined;
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `${path} is not UTF-8 text; convert it first`, {
      cause,
    });
  }
}

const exists = async (path: string): Promise<boolean> => (await statIfThere(path))?.isFile() ?? false;

/** Tells a file that is not there from one that may be. */
async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw unreadable(path, cause);
  }
}

const unreadable = (path: string, cause: unknown): DecoderError =>
  new DecoderError("unreadable-checkpoint", `${path} cannot be read (${(cause as Error).message})`, {
    cause,
  });
