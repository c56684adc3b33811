import { realpath } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { ConverterError } from "../converter-error.js";

/**
 * Makes sure that an output replaces no folder with its own checkpoint in it.
 *
 * @throws {ConverterError} `output-exists` when `from` is `to` or lies inside it.
 */
export async function requireApart(from: string, to: string): Promise<void> {
  const [model, output] = [await realPlace(from), await realPlace(to)];
  if (model !== output && !model.startsWith(output + sep)) return;
  throw new ConverterError(
    "output-exists",
    `to ${to}: it holds the checkpoint that is to be folded; choose another folder`,
    { option: "to" },
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
