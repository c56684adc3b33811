import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Writes a file that appears complete or not at all, even after a power cut.
 *
 * The bytes go to a new file, `<path>.partial-` and eight hexadecimal digits: neither another writer's partial file nor
 * a planted link is ever written to. It is removed when anything fails.
 */
export async function writeWholeFile(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const partial = `${path}.partial-${crypto.randomUUID().slice(0, 8)}`;
  const handle = await open(partial, "wx");
  try {
    await write(handle);
    // Otherwise a power cut could leave the new name on data that never reached the disk.
    await handle.sync();
    await handle.close();
    await rename(partial, path);
  } catch (error) {
    await handle.close();
    await rm(partial, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Answers of systems and network drives where folders cannot be opened or synchronised; the renaming stands. */
const UNSYNCED_FOLDER = ["EACCES", "EPERM", "EISDIR", "EINVAL", "EBADF", "ENOTSUP"];

/** Makes the renaming itself survive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!UNSYNCED_FOLDER.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
