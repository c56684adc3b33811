import type { FoldMethod } from "../fold/fold-state.js";
import { linkSetting, oneOf } from "./link-setting.js";

export const KEEPS = ["1/2", "1/4", "1/8"] as const;
export const METHODS: Readonly<Record<FoldMethod, string>> = {
  anchored: "anchored: loses least",
  latent: "latent: decodes fastest",
};
export const WINDOWS = [4, 8, 16, 32] as const;
export const TUNING_STEPS = [10, 20, 40, 80] as const;

/** How the page folds, and tunes a fold. */
export const foldSettings = {
  keep: linkSetting<string>("keep", "1/4", oneOf(KEEPS)),
  method: linkSetting<FoldMethod>("method", "anchored", oneOf(Object.keys(METHODS) as FoldMethod[])),
  windows: linkSetting<number>("windows", 8, oneOf(WINDOWS)),
  steps: linkSetting<number>("steps", 20, oneOf(TUNING_STEPS)),
};
