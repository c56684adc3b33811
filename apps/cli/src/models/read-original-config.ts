import { join } from "node:path";
import { type ModelConfig, readConfig } from "@kvfold/decoder";
import { readUtf8 } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";
import { exists } from "../files/exists.js";
import { RECORD_FILE } from "../files/output-folder.js";
import { fetchConfig } from "../hub/fetch-config.js";
import type { HubSettings } from "../hub/hub-settings.js";
import type { JobContext } from "../jobs/job.js";
import { remoteId } from "./find-model.js";

/**
 * The config of a checkpoint: of a folder that needs to hold nothing else, or with `hub` of a model there, whose weights are not
 * fetched.
 *
 * @throws {CliError} `unreadable-file` where there is no config, `unsupported-model` for a folder that kvfold wrote.
 */
export async function readOriginalConfig(
  model: string,
  hub: HubSettings | undefined,
  context: JobContext,
): Promise<ModelConfig> {
  const id = await remoteId(model, hub);
  if (id !== undefined) return readConfig(await fetchConfig(id, hub!, context));
  if (await exists(join(model, RECORD_FILE)))
    throw new CliError(
      "unsupported-model",
      `${model} is folded already; name the checkpoint that it was made from, or see its cache with kvfold inspect`,
    );
  const text = await readUtf8(join(model, "config.json"));
  if (text !== undefined) return readConfig(text);
  throw new CliError("unreadable-file", `${model} has no config.json; name a Hugging Face checkpoint`);
}
