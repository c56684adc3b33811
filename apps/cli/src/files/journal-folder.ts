import { basename, dirname, join, resolve } from "node:path";

/** Where the journal of a fold to `output` lies: beside it, so that the same command finds it again. */
export function journalFolder(output: string): string {
  const place = resolve(output);
  return join(dirname(place), `.${basename(place)}.kvfold-journal`);
}
