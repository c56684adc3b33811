import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeStaleOutputs, temporaryPath } from "@kvfold/converter/node";
import type { JobContext } from "../jobs/job.js";

/** A folder for work in progress under the system's temporary one. */
export interface TemporaryFolder {
  readonly path: string;
  readonly remove: () => Promise<void>;
}

/** For the user alone: others may look into the system's temporary folder. */
const PRIVATE = 0o700;

/**
 * Makes an empty temporary folder, and removes those of this user's runs that were killed. The caller removes it;
 * the caller of the job does when the job is killed.
 */
export async function createTemporaryFolder({ onTemporary }: JobContext): Promise<TemporaryFolder> {
  const place = join(tmpdir(), "kvfold");
  await removeStaleOutputs(place);
  const path = temporaryPath(place);
  await mkdir(path, { mode: PRIVATE });
  onTemporary(path);
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Runs `work` in a temporary folder that is gone afterwards, whatever happens. */
export async function withTemporaryFolder<T>(
  context: JobContext,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await createTemporaryFolder(context);
  try {
    return await work(folder.path);
  } finally {
    await folder.remove();
  }
}
