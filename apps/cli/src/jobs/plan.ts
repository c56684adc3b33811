import { type FoldPlan, type planFold as plan, planFold } from "@kvfold/converter";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModel } from "../models/find-model.js";
import { checkIsCheckpoint, withCheckpoint } from "../models/open-checkpoint-folder.js";
import { DEFAULT_WINDOW } from "../tokens/calibration-windows.js";
import { type JobContext, quietContext } from "./job.js";

export declare namespace planCheckpoint {
  interface Options extends plan.Options {
    /** The checkpoint's folder, or with `hub` a model there. */
    readonly model: string;
    readonly hub?: HubSettings | undefined;
  }
}

/** Works out what `foldCheckpoint` would do, without reading weights or writing any output. */
export async function planCheckpoint(
  { model, hub, ...options }: planCheckpoint.Options,
  context: JobContext = quietContext,
): Promise<FoldPlan> {
  const { path } = await findModel(model, hub, context);
  await checkIsCheckpoint(path, "folding");
  return withCheckpoint(path, context, async ({ config }) =>
    planFold(config, { window: DEFAULT_WINDOW, ...options }),
  );
}
