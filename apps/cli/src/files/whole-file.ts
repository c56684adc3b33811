import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CliError } from "../cli-error.js";

/** What to do when there is a file of that name. */
export type Existing = "refuse" | "replace";

/**
 * Makes sure that a file can be written, before the work that ends with writing it.
 *
 * @throws {CliError} `output-exists` when there is a file already, unless it may be replaced, or something that is no
 * file; `write-failed` when its folder is missing or may not be written to.
 */
export async function checkFileTarget(path: string, existing: Existing): Promise<void> {
  const info = await stat(resolve(path)).catch(() => undefined);
  if (info === undefined) return checkParent(path);
  if (info.isDirectory()) throw taken(`${path} is a folder; name a file in it`);
  if (!info.isFile()) throw taken(`${path} is not a regular file; choose another name`);
  if (existing === "refuse") throw taken(`${path} exists; choose another name, or replace it with --force`);
  await checkParent(path);
}

const taken = (message: string): CliError => new CliError("output-exists", message);

async function checkParent(path: string): Promise<void> {
  const folder = dirname(resolve(path));
  await access(folder, constants.W_OK).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "does not exist" : "may not be written to";
    throw new CliError("write-failed", `${path}: its folder ${folder} ${reason}; choose another place`, {
      cause,
    });
  });
}
