import { type FoldPlan, type planFold as plan, planFold } from "@kvfold/converter";
import { readRecipe } from "../goals/read-recipe.js";
import { choicesWithinBytes } from "../goals/within-bytes.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModel } from "../models/find-model.js";
import { locateWeights } from "../models/locate-weights.js";
import { withCheckpoint } from "../models/open-checkpoint-folder.js";
import { DEFAULT_WINDOW } from "../tokens/calibration-windows.js";
import { type JobContext, quietContext } from "./job.js";
import { type OptionNames, planOptions, requireKnown } from "./known-options.js";

export declare namespace planCheckpoint {
  interface Options extends Omit<plan.Options, "keep"> {
    /** Share of the cache to keep, unless `maxBytes` or a recipe settles it. */
    readonly keep?: string | number | undefined;
    /** Bytes of cache that a token may take: the largest share within it is planned, by the method that is preferred. */
    readonly maxBytes?: number | undefined;
    /** The `kvfold.json` of an earlier fold, whose options are taken. */
    readonly recipe?: string | undefined;
    /** The checkpoint's folder, or with `hub` a model there. */
    readonly model: string;
    readonly hub?: HubSettings | undefined;
  }
}

const OPTIONS: OptionNames<planCheckpoint.Options> = {
  ...planOptions,
  keep: true,
  maxBytes: true,
  recipe: true,
  model: true,
  hub: true,
};

/** Works out what `foldCheckpoint` would do, without reading weights or writing any output. */
export async function planCheckpoint(
  given: planCheckpoint.Options,
  context: JobContext = quietContext,
): Promise<FoldPlan> {
  const { model, hub, recipe, ...asked } = requireKnown("planCheckpoint", given, OPTIONS);
  const options = recipe === undefined ? asked : { ...asked, ...(await readRecipe(recipe)).request };
  const found = await locateWeights(await findModel(model, hub, context), "folding");
  return withCheckpoint(found, context, async ({ config }) => {
    const { maxBytes, keep = "1", ...request } = { window: DEFAULT_WINDOW, ...options };
    const choice = maxBytes === undefined ? { keep } : choicesWithinBytes(config, request, maxBytes)[0]!;
    return planFold(config, { ...request, ...choice });
  });
}
