import { randomBytes } from "node:crypto";
import { access, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CliError } from "../cli-error.js";

/** What to do when there is a file of that name. */
export type Existing = "refuse" | "replace";

/**
 * Makes sure that a file may be written, before the work that ends with writing it.
 *
 * @throws {CliError} `output-exists` when there is one already, unless it may be replaced.
 */
export async function checkFileTarget(path: string, existing: Existing): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists && existing === "refuse") {
    throw new CliError("output-exists", `${path} exists; choose another name, or replace it with --force`);
  }
}

/** Writes a file that appears complete or not at all. */
export async function writeWholeFile(path: string, content: string | Uint8Array): Promise<void> {
  const place = resolve(path);
  const partial = join(dirname(place), `.${basename(place)}.partial-${randomBytes(3).toString("hex")}`);
  try {
    await writeFile(partial, content);
    await rename(partial, place);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
