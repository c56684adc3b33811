import { type FoldPlan, type planFold as plan, planFold } from "@kvfold/converter";
import { checkIsCheckpoint, withCheckpoint } from "../models/open-checkpoint-folder.js";

export declare namespace planCheckpoint {
  interface Options extends plan.Options {
    /** The checkpoint's folder. */
    readonly model: string;
  }
}

/** Works out what `foldCheckpoint` would do, without reading weights or writing anything. */
export async function planCheckpoint({ model, ...options }: planCheckpoint.Options): Promise<FoldPlan> {
  await checkIsCheckpoint(model, "folding");
  return withCheckpoint(model, async ({ config }) => planFold(config, options));
}
