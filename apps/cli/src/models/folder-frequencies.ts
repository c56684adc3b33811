import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readConfig, rotaryFrequencies } from "@kvfold/decoder";
import type { FolderConfig } from "./folder-config.js";

/** How fast the keys of each layer rotate, for policies that look at it; unknown of folds, which cache other keys. */
export async function folderFrequencies(
  folder: string,
  { record }: FolderConfig,
): Promise<readonly (Float64Array | undefined)[] | undefined> {
  const plan = record?.plan as { readonly method?: unknown } | undefined;
  if (plan?.method !== "none") return undefined;
  return rotaryFrequencies(readConfig(await readFile(join(folder, "config.json"), "utf8")));
}
