import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";

/** SHA-256 of the names and the bytes of all files of a folder; links are followed. */
export async function hashFolder(folder: string, signal?: AbortSignalLike): Promise<string> {
  const hash = createHash("sha256");
  for await (const path of filesOf(folder)) {
    hash.update(`\n${relative(folder, path)}\n`);
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
      throwIfAborted(signal);
      hash.update(piece);
    }
  }
  return hash.digest("hex");
}

/** The paths of all files, in the same order on every machine. */
async function* filesOf(folder: string): AsyncGenerator<string> {
  for (const name of (await readdir(folder)).toSorted()) {
    const path = join(folder, name);
    if ((await stat(path)).isDirectory()) yield* filesOf(path);
    else yield path;
  }
}
