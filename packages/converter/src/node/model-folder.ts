import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { ConverterError } from "../converter-error.js";

/** A folder being written beside its place, and put there when it is complete. */
export interface PendingFolder {
  /** Where to write; a sibling of the target, so that the final rename is atomic. */
  readonly path: string;
  /** Puts the folder in its place. Until then the target is untouched. */
  commit(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
}

export declare namespace createPendingFolder {
  interface Options {
    /** What to do when the target exists and is not empty. */
    readonly existing?: "refuse" | "replace";
  }
}

/**
 * Starts a folder that will appear at `target` complete or not at all.
 *
 * @throws {ConverterError} `output-exists` when `target` is a file, or a folder with anything in it unless it may be
 * replaced.
 */
export async function createPendingFolder(
  target: string,
  { existing = "refuse" }: createPendingFolder.Options = {},
): Promise<PendingFolder> {
  const place = resolve(target);
  await checkTarget(place, existing);
  await mkdir(dirname(place), { recursive: true });
  // Not mkdtemp: its folders are readable by their owner alone, and a model folder is there to be served.
  const path = join(dirname(place), `.${basename(place)}.partial-${randomUUID()}`);
  await mkdir(path);
  return {
    path,
    commit: () => replaceFolder(path, place),
    discard: () => rm(path, { recursive: true, force: true }),
  };
}

async function checkTarget(place: string, existing: "refuse" | "replace"): Promise<void> {
  const info = await stat(place).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isDirectory())
    throw new ConverterError("output-exists", `${place} is a file; choose a folder for the output`);
  if (existing === "refuse" && (await readdir(place)).length > 0) {
    throw new ConverterError(
      "output-exists",
      `${place} is not empty; choose another folder, or replace it with --force`,
    );
  }
}

/** The old folder steps aside first and goes only when the new one is in place. */
async function replaceFolder(path: string, place: string): Promise<void> {
  const old = `${path}.old`;
  const replaced = await rename(place, old).then(
    () => true,
    () => false,
  );
  try {
    await rename(path, place);
  } catch (error) {
    if (replaced) await rename(old, place);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}
