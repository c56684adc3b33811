import { constants, copyFile, link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ConverterError } from "../converter-error.js";
import { followLinks } from "./follow-links.js";
import { syncFolder } from "./sync-files.js";
import { temporaryPath } from "./temporary-path.js";

export declare namespace writeWholeFile {
  interface Options {
    /** What to do when there is a file of that name when all is written. */
    readonly existing?: "refuse" | "replace";
  }
}

/**
 * Writes a file that appears complete or not at all, even after a power cut. A symbolic link at `path` stays, and the
 * file appears where it leads.
 *
 * @param content - The whole, or its pieces one after the other.
 * @throws {ConverterError} `output-exists` when there is a file by then, unless it may be replaced; `write-failed` for
 * anything else.
 */
export async function writeWholeFile(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
  { existing = "refuse" }: writeWholeFile.Options = {},
): Promise<void> {
  const place = await followLinks(path);
  const partial = temporaryPath(place);
  try {
    await writeNewFile(partial, content);
    if (existing === "replace") await rename(partial, place);
    else await takeFreeName(partial, place);
    await syncFolder(dirname(place));
  } catch (cause) {
    throw failure(path, cause as NodeJS.ErrnoException, { partial, place });
  } finally {
    await rm(partial, { force: true }).catch(() => {});
  }
}

/**
 * Writes a file that was not there, and waits until it is on the disk. It follows no link: where others may write too,
 * one could lead anywhere.
 */
export async function writeNewFile(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): Promise<void> {
  const handle = await open(path, "wx");
  const pieces = typeof content === "string" || content instanceof Uint8Array ? [content] : content;
  try {
    for (const piece of pieces) await handle.writeFile(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What file systems without hard links answer. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
]);

/** Gives a file a name that nothing has: a rename would replace what came there in the last moment. */
async function takeFreeName(partial: string, place: string): Promise<void> {
  try {
    await link(partial, place);
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code)) throw error;
    await copyFile(partial, place, constants.COPYFILE_EXCL);
  }
}

function failure(
  path: string,
  cause: NodeJS.ErrnoException,
  { partial, place }: { readonly partial: string; readonly place: string },
): ConverterError {
  if (cause.code === "EEXIST")
    return new ConverterError(
      "output-exists",
      `${path} was written by something else meanwhile, and it stays as it is; choose another name`,
      { cause },
    );
  const reason = cause.message.replaceAll(partial, place);
  return new ConverterError("write-failed", `${path} could not be written (${reason})`, { cause });
}
