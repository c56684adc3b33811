import type { CacheBits } from "@kvfold/converter";
import { addGraphs } from "@kvfold/converter/node";
import type { HubSettings } from "../hub/hub-settings.js";
import { readOriginalConfig } from "../models/read-original-config.js";
import type { JobContext } from "./job.js";
import { type OptionNames, requireKnown } from "./known-options.js";

export declare namespace addGraphsToFolder {
  interface Options {
    /** A folder that a fold wrote. */
    readonly folder: string;
    /** The checkpoint that was folded: its folder, which needs to hold no more than `config.json`, or with `hub` a model there. */
    readonly original: string;
    readonly hub?: HubSettings | undefined;
    readonly cacheBits?: readonly CacheBits[] | undefined;
  }
  interface Result {
    readonly folder: string;
    /** Paths in the folder. */
    readonly added: readonly string[];
  }
}

const OPTIONS: OptionNames<addGraphsToFolder.Options> = {
  folder: true,
  original: true,
  hub: true,
  cacheBits: true,
};

/** Adds graphs to a folded model, over the weights that are there. Throws as `addGraphs` and `readOriginalConfig`. */
export async function addGraphsToFolder(
  given: addGraphsToFolder.Options,
  context: JobContext,
): Promise<addGraphsToFolder.Result> {
  const { folder, original, hub, cacheBits } = requireKnown("addGraphsToFolder", given, OPTIONS);
  const config = await readOriginalConfig(original, hub, context);
  return { folder, added: await addGraphs(folder, { original: config, cacheBits }) };
}
