import { readdir, realpath } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { CliError } from "../cli-error.js";
import type { Existing } from "./whole-file.js";

/** Every folder that kvfold writes holds this file. */
export const RECORD_FILE = "kvfold.json";

/**
 * Makes sure that putting a folder at `output` loses nothing: the model that it is made from lies elsewhere, and what
 * it replaces was written by kvfold.
 *
 * @throws {CliError} `output-exists`.
 */
export async function checkOutputFolder(output: string, model: string, existing: Existing): Promise<void> {
  const place = await realPlace(output);
  if (isWithin(await realPlace(model), place)) {
    throw new CliError(
      "output-exists",
      `${output} holds the model that is to be folded; choose another output`,
    );
  }
  if (existing === "refuse") return;
  const files = await readdir(place).catch((): string[] => []);
  if (files.length > 0 && !files.includes(RECORD_FILE)) {
    throw new CliError(
      "output-exists",
      `${output} has no ${RECORD_FILE}, so kvfold did not write it; --force replaces only kvfold's own folders`,
    );
  }
}

/** The path with its links resolved, as far as it exists. */
async function realPlace(path: string): Promise<string> {
  const place = resolve(path);
  try {
    return await realpath(place);
  } catch {
    const parent = dirname(place);
    return parent === place ? place : join(await realPlace(parent), relative(parent, place));
  }
}

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(folder + sep);
