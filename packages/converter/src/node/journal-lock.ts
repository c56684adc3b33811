import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ConverterError } from "../converter-error.js";
import { pidOf, processTag, stateOf, TAG_PATTERN } from "./process-tag.js";
import { temporaryKey } from "./temporary-path.js";
import { writeNewFile } from "./whole-file.js";

/** Files by which processes say that they use a journal, one each. */
export const LOCK_FILE: RegExp = new RegExp(`^lock-(${TAG_PATTERN})-[0-9a-f]{8}$`);

/** Two processes that came at once see each other and give way, so each tries again after another while. */
const ATTEMPTS = 5;
const PAUSE_MILLISECONDS = 200;

/**
 * Keeps other processes from a journal. Locks of processes that have ended do not count and are removed; locks of this
 * process do not count either.
 *
 * @param elsewhere - What of locks from other machines, whose processes cannot be seen: they keep this process out, or are
 * removed where something else sees to it that there is one process.
 * @returns how to let go of it.
 * @throws {ConverterError} `unusable-journal` when another process uses it.
 */
export async function lockJournal(
  folder: string,
  elsewhere: "respect" | "replace" = "respect",
): Promise<() => Promise<void>> {
  for (let attempt = 1; ; attempt++) {
    const path = join(folder, `lock-${temporaryKey()}`);
    await writeLock(path);
    const unlock = () => rm(path, { force: true });
    const owner = await findOwner(folder, elsewhere);
    if (owner === undefined) return unlock;
    await unlock();
    if (attempt === ATTEMPTS) throw inUse(folder, owner);
    await wait(PAUSE_MILLISECONDS * Math.random());
  }
}

/** Writes a lock into its folder, which another process may be removing as empty. */
async function writeLock(path: string): Promise<void> {
  for (;;) {
    await mkdir(dirname(path), { recursive: true });
    try {
      return await writeNewFile(path, "");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** The lock of another process, as far as anyone can know. */
async function findOwner(folder: string, elsewhere: "respect" | "replace"): Promise<string | undefined> {
  let owner: string | undefined;
  for (const name of await readdir(folder)) {
    const [, tag] = LOCK_FILE.exec(name) ?? [];
    if (tag === undefined || tag === processTag()) continue;
    const state = stateOf(tag);
    if (state === "ended" || (state === "unknown" && elsewhere === "replace"))
      await rm(join(folder, name), { force: true });
    else owner = name;
  }
  return owner;
}

function inUse(folder: string, name: string): ConverterError {
  const [, tag = ""] = LOCK_FILE.exec(name) ?? [];
  const message =
    stateOf(tag) === "running"
      ? `${folder} is in use by another fold (process ${pidOf(tag)}); wait for it, or choose another output`
      : `${folder} is in use by a fold on another machine or in another container; if none runs there any more, remove ${join(folder, name)}`;
  return new ConverterError("unusable-journal", message);
}
