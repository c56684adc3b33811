import { type Checkpoint, openWeights } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";
import { folderVocabulary, type Vocabulary } from "../tokens/vocabulary.js";
import { readFolderConfig } from "./folder-config.js";
import { locateModel } from "./locate-model.js";
import type { WeightsModel } from "./locate-weights.js";

/** Opens a model for the time of `work`, and tells the user what of it nothing reads. */
export async function withCheckpoint<T>(
  { path, graph }: Pick<WeightsModel, "path" | "graph">,
  { onNotice }: Pick<JobContext, "onNotice">,
  work: (checkpoint: Checkpoint) => Promise<T>,
): Promise<T> {
  const checkpoint = await openWeights(await directorySource(path), { graph });
  try {
    for (const notice of checkpoint.notices) onNotice(notice);
    return await work(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/**
 * Makes sure that a folder holds weights, not only a graph made of them.
 *
 * @throws {CliError} `unsupported-model` for an ONNX export, `unreadable-file` when it is not a model.
 */
export async function checkIsCheckpoint(path: string, purpose: string): Promise<void> {
  const { kind } = await locateModel(path);
  if (kind === "checkpoint") return;
  throw new CliError(
    "unsupported-model",
    `${path} is an ONNX export; ${purpose} needs the Hugging Face checkpoint (config.json and safetensors) it was made from`,
  );
}

/** How the files of a checkpoint turn text into tokens. */
export async function checkpointVocabulary(folder: string, { config }: Checkpoint): Promise<Vocabulary> {
  const { bosToken } = await readFolderConfig(folder);
  return folderVocabulary(folder, { vocabSize: config.shape.vocabSize, bosToken });
}
