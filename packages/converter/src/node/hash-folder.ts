import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";

/** SHA-256 of the names and the bytes of all files of a folder. */
export async function hashFolder(folder: string, signal?: AbortSignalLike): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted();
  const hash = createHash("sha256");
  for (const path of paths) {
    hash.update(`\n${path.slice(folder.length)}\n`);
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
      throwIfAborted(signal);
      hash.update(piece);
    }
  }
  return hash.digest("hex");
}
