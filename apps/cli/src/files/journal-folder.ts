import { basename, dirname, join, resolve } from "node:path";
import type { Shard } from "@kvfold/calibration";

/** Where the journal of a fold to `output`, or of a shard of one, lies: beside it, so that the same command finds it again. */
export function journalFolder(output: string, shard?: Shard): string {
  const place = resolve(output);
  const suffix = shard === undefined ? "" : `-${shard.index}-of-${shard.count}`;
  return join(dirname(place), `.${basename(place)}.kvfold-journal${suffix}`);
}
