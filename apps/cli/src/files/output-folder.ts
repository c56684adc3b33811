import { readdir, realpath } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { CliError } from "../cli-error.js";
import type { Existing } from "./whole-file.js";

/** Every folder that kvfold writes holds this file. */
export const RECORD_FILE = "kvfold.json";

/**
 * Makes sure that the model that an output is made from lies elsewhere.
 *
 * @throws {CliError} `output-exists`.
 */
export async function checkModelIsElsewhere(output: string, model: string): Promise<void> {
  if (!isWithin(await realPlace(model), await realPlace(output))) return;
  throw new CliError(
    "output-exists",
    `${output} holds the model that is to be folded; choose another output`,
  );
}

/**
 * Makes sure that putting a folder at `output` loses nothing, before the work that ends with it: there is nothing, or
 * something that kvfold wrote and that may be replaced.
 *
 * @throws {CliError} `output-exists`.
 */
export async function checkOutputFolder(output: string, existing: Existing): Promise<void> {
  const files = await readdir(resolve(output)).catch((): string[] => []);
  if (files.length === 0) return;
  if (existing === "refuse")
    throw new CliError(
      "output-exists",
      `${output} is not empty; choose another folder, or replace it with --force`,
    );
  if (!files.includes(RECORD_FILE))
    throw new CliError(
      "output-exists",
      `${output} has no ${RECORD_FILE}, so kvfold did not write it; --force replaces only kvfold's own folders`,
    );
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
