import { lstat, mkdir, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { ConverterError } from "../converter-error.js";
import { RECORD_FILE } from "../output/record-file.js";
import { followLinks } from "./follow-links.js";
import { syncFolder, syncTree } from "./sync-files.js";
import { temporaryKey, temporaryPath } from "./temporary-path.js";

/** A folder being written beside its place, and put there when it is complete. */
export interface PendingFolder {
  /** Where to write; a sibling of the target, so that the final rename is atomic. */
  readonly path: string;
  /**
   * Puts the folder in its place, on the disk. Until then the target is untouched.
   *
   * @throws {ConverterError} `output-exists` when something came to stand there meanwhile that may not be replaced; it
   * stays as it is.
   */
  commit(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
}

export declare namespace createPendingFolder {
  interface Options {
    /** What to do when the target exists and is not empty; replaced is only what kvfold wrote (it has `kvfold.json`). */
    readonly existing?: "refuse" | "replace";
  }
}

type Existing = NonNullable<createPendingFolder.Options["existing"]>;

/**
 * Starts a folder that will appear at `target` complete or not at all. A symbolic link at `target` stays, and the folder
 * appears where it leads.
 *
 * @throws {ConverterError} `output-exists` when `target` is a file, a mount point, or a folder with anything in it
 * unless it may be replaced.
 */
export async function createPendingFolder(
  target: string,
  { existing = "refuse" }: createPendingFolder.Options = {},
): Promise<PendingFolder> {
  const place = await followLinks(target);
  await checkPlace(place, existing);
  const key = temporaryKey();
  const path = temporaryPath(place, "partial", key);
  await makeFolder(path, place);
  return {
    path,
    async commit() {
      await syncTree(path);
      if (existing === "refuse") await takeFreePlace(path, place);
      else await takePlaceOfOld(path, place, key);
      await syncFolder(dirname(place));
    },
    discard: () => rm(path, { recursive: true, force: true }),
  };
}

/** Not `mkdtemp`: its folders are readable by their owner alone, and a model folder is there to be served. */
async function makeFolder(path: string, place: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await mkdir(path);
  } catch (cause) {
    const reason = (cause as Error).message.replaceAll(path, place);
    throw new ConverterError(
      "write-failed",
      `${place}: no folder can be made there (${reason}); choose another`,
      {
        cause,
      },
    );
  }
}

async function checkPlace(place: string, existing: Existing): Promise<void> {
  const info = await stat(place).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isDirectory()) throw refusal(`${place} is a file; choose a folder for the output`);
  if (info.dev !== (await stat(dirname(place))).dev)
    throw refusal(`${place} is a mount point, which cannot be replaced; choose a folder inside it`);
  const files = await readdir(place);
  if (files.length === 0) return;
  if (existing === "refuse")
    throw refusal(`${place} is not empty; choose another folder, or have it replaced`);
  if (!files.includes(RECORD_FILE))
    throw refusal(`${place} has no ${RECORD_FILE}, so kvfold did not write it; choose another folder`);
}

const refusal = (message: string): ConverterError => new ConverterError("output-exists", message);

async function takeFreePlace(path: string, place: string): Promise<void> {
  if (await takePlace(path, place)) return;
  throw refusal(
    `something else was put at ${place} while the output was being written, and it stays as it is; choose another folder`,
  );
}

/** What systems answer when a folder with something in it, or a file, is in the way of a renamed folder. */
const OCCUPIED: ReadonlySet<string | undefined> = new Set(["ENOTEMPTY", "EEXIST", "ENOTDIR"]);

/**
 * Renames a folder to a place where there is nothing, or an empty folder: `rename` refuses any other in one step, so
 * nothing that comes there in the last moment is lost. Returns whether it could.
 */
async function takePlace(path: string, place: string): Promise<boolean> {
  // Windows renames to no folder, not even to an empty one, and removes only empty ones.
  if (process.platform === "win32") await rmdir(place).catch(() => {});
  try {
    await rename(path, place);
    return true;
  } catch (error) {
    if (OCCUPIED.has((error as NodeJS.ErrnoException).code)) return false;
    throw error;
  }
}

/** Each turn another process put something there in between; that many do not. */
const MAX_TURNS = 100;

/** The old folder steps aside first and goes only when the new one is in place: one of them is always there. */
async function takePlaceOfOld(path: string, place: string, key: string): Promise<void> {
  const old = temporaryPath(place, "replaced", key);
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    if (await takePlace(path, place)) return;
    if (!(await stepAside(place, old))) continue;
    try {
      if (await takePlace(path, place)) return await removeOld(old, place);
    } catch (error) {
      await putBack(old, place);
      throw error;
    }
    await removeOld(old, place);
  }
  throw refusal(`${place} is being written by others all the time; choose another folder`);
}

/** Moves away what is to be replaced, and looks at it where nobody adds to it any more. Returns whether it was there. */
async function stepAside(place: string, old: string): Promise<boolean> {
  const info = await lstat(place).catch(() => undefined);
  if (info === undefined) return false;
  if (!info.isDirectory()) throw notOurs(place);
  const moved = await renameIfThere(place, old);
  if (!moved || (await isReplaceable(old))) return moved;
  await putBack(old, place);
  throw notOurs(place);
}

const notOurs = (place: string): ConverterError =>
  refusal(
    `something that kvfold did not write was put at ${place} meanwhile, and it stays as it is; choose another folder`,
  );

async function isReplaceable(folder: string): Promise<boolean> {
  const files = await readdir(folder).catch(() => undefined);
  return files !== undefined && (files.length === 0 || files.includes(RECORD_FILE));
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function putBack(old: string, place: string): Promise<void> {
  if (await takePlace(old, place)) return;
  throw refusal(
    `what stood at ${place} is at ${old} now: something else took its place; choose another folder`,
  );
}

async function removeOld(old: string, place: string): Promise<void> {
  try {
    await rm(old, { recursive: true, force: true });
  } catch (cause) {
    throw new ConverterError(
      "write-failed",
      `${place} is written, but what stood there before could not be removed (${(cause as Error).message}); remove ${old}`,
      { cause },
    );
  }
}
