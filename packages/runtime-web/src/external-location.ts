import { RuntimeError } from "@kvfold/runtime";

/** A backslash is a slash in addresses, and no file's name has a control character. */
const FORBIDDEN = /[\\\p{Cc}]/u;

/** `https:` and the like. */
const SCHEME = /^[a-z][a-z\d+.-]*:/i;

/**
 * Makes sure that a model names files of its own folder. Models are untrusted, and an address that is absolute or climbs
 * would make the page ask other servers, or other parts of its own.
 *
 * @param file - The model's name, for errors.
 * @throws {RuntimeError} `model-unreadable` for any other location.
 */
export function checkLocation(location: string, file: string): void {
  const climbs = location.split("/").some((segment) => ["", ".", ".."].includes(segment));
  if (!climbs && !FORBIDDEN.test(location) && !SCHEME.test(location)) return;
  throw new RuntimeError(
    "model-unreadable",
    `expected the weights of ${file} in files of its own folder, found the location ` +
      `${JSON.stringify(location.slice(0, 80))}: do not trust this model, or export it again`,
  );
}
