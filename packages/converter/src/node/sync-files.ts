import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** What file systems answer that cannot do it, or not for folders. */
const UNSUPPORTED: ReadonlySet<string | undefined> = new Set([
  "EINVAL",
  "ENOTSUP",
  "EISDIR",
  "EPERM",
  "EACCES",
  "EBADF",
]);

/**
 * Waits until a folder's entries are on the disk: a rename survives a power cut only from then on. Does nothing where
 * the system cannot.
 */
export async function syncFolder(path: string): Promise<void> {
  try {
    await sync(path, "r");
  } catch (error) {
    if (!UNSUPPORTED.has((error as NodeJS.ErrnoException).code)) throw error;
  }
}

/** Waits until everything in a folder is on the disk. */
export async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const place = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(place);
    // Windows flushes only what is open for writing.
    else if (entry.isFile()) await sync(place, "r+");
  }
  await syncFolder(path);
}

async function sync(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
