import { readlink, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ConverterError } from "../converter-error.js";

/** Linux follows as many before it reports a loop. */
const MAX_LINKS = 40;

/**
 * The place that a path leads to: its own, or if it is a symbolic link the link's target, which need not exist yet.
 * Outputs are written there, so that the link stays.
 *
 * @throws {ConverterError} `output-exists` when links lead in a circle.
 */
export async function followLinks(path: string): Promise<string> {
  let place = resolve(path);
  for (let followed = 0; followed < MAX_LINKS; followed++) {
    const target = await readlink(place).catch(() => undefined);
    if (target === undefined) return place;
    place = resolve(await realpath(dirname(place)), target);
  }
  throw new ConverterError(
    "output-exists",
    `${path}: symbolic links lead in a circle; choose another output`,
  );
}
