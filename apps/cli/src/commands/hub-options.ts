import { resolve } from "node:path";
import type { Command } from "commander";
import { defaultCacheFolder } from "../hub/cache-folder.js";
import type { HubSettings } from "../hub/hub-settings.js";

/** Options of commands whose models may be on a Hub. */
export interface HubFlags {
  readonly revision?: string | undefined;
  readonly token?: string | undefined;
  readonly cacheDir?: string | undefined;
}

/** Adds the options that say how a model `owner/name` is fetched. */
export const addHubOptions = (command: Command): Command =>
  command
    .option("--revision <name>", "branch, tag or commit of a model owner/name (default: main)")
    .option("--token <token>", "for private and gated models (default: the variable HF_TOKEN)")
    .option("--cache-dir <folder>", "where fetched models are kept (default: the platform's cache folder)");

/** The options as a job wants them, with what the environment says. */
export function hubOf(
  { revision, token, cacheDir }: HubFlags,
  environment: NodeJS.ProcessEnv = process.env,
): HubSettings {
  return {
    hubUrl: given(environment.HF_ENDPOINT),
    token: token ?? given(environment.HF_TOKEN),
    revision,
    // Jobs run elsewhere.
    cacheFolder: resolve(cacheDir ?? defaultCacheFolder(process.platform, environment)),
  };
}

/** A variable that is set but empty counts as unset. */
const given = (value: string | undefined): string | undefined => value?.trim() || undefined;
