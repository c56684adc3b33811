import { type FittedContext, type fitContext as fit, fitContext } from "@kvfold/converter";
import type { HubSettings } from "../hub/hub-settings.js";
import { readOriginalConfig } from "../models/read-original-config.js";
import type { JobContext } from "./job.js";
import { type OptionNames, requireKnown } from "./known-options.js";

export declare namespace fitModel {
  interface Options extends Pick<fit.Options, "limit" | "keeps" | "method" | "dtypes"> {
    readonly method?: string | undefined;
    /** The checkpoint's folder, which needs to hold no more than `config.json`, or with `hub` a model there. */
    readonly model: string;
    readonly hub?: HubSettings | undefined;
  }
  interface Result {
    readonly model: string;
    readonly family: string;
    /** The model's own context, in tokens. */
    readonly maxPositions: number;
    readonly limit: fit.Options["limit"];
    readonly rows: readonly FittedContext[];
  }
}

const OPTIONS: OptionNames<fitModel.Options> = {
  method: true,
  model: true,
  hub: true,
  limit: true,
  keeps: true,
  dtypes: true,
};

/**
 * How long a context fits into memory for each share of the cache, or how much memory a context takes.
 *
 * @throws {CliError} `unreadable-file` where there is no config, `unsupported-model` for a folder that kvfold wrote.
 */
export async function fitModel(given: fitModel.Options, context: JobContext): Promise<fitModel.Result> {
  const { model, hub, ...options } = requireKnown("fitModel", given, OPTIONS);
  const config = await readOriginalConfig(model, hub, context);
  return {
    model,
    family: config.family.name,
    maxPositions: config.shape.maxPositions,
    limit: options.limit,
    rows: fitContext(config, options),
  };
}
