import { planFold } from "@kvfold/converter";
import type { Dtype } from "@kvfold/decoder";
import { type CausalLM, createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { createTemporaryFolder } from "../files/temporary-folder.js";
import type { JobContext } from "../jobs/job.js";
import { folderVocabulary, type Vocabulary } from "../tokens/vocabulary.js";
import type { FoundModel } from "./find-model.js";
import { type FolderConfig, readFolderConfig } from "./folder-config.js";
import { locateModel, type ModelLocation } from "./locate-model.js";
import { withCheckpoint } from "./open-checkpoint-folder.js";
import { writeFolder } from "./write-folder.js";

/** A model that is ready to run. */
export interface OpenedModel {
  /** As the user named it. */
  readonly path: string;
  /** Where its config and tokenizer are; gone after `dispose` for an exported checkpoint. */
  readonly folder: string;
  readonly config: FolderConfig;
  readonly vocabulary: Vocabulary;
  readonly lm: CausalLM;
  dispose(): Promise<void>;
}

declare namespace openModel {
  interface Options {
    readonly dtype?: Dtype | undefined;
    /** Tokens that the cache has room for at first. */
    readonly initialCapacity?: number;
  }
}

type RunnableModel = Extract<ModelLocation, { kind: "onnx" }> & { readonly remove: () => Promise<void> };

/**
 * Loads a model into ONNX Runtime. A checkpoint is exported first, unfolded, to a temporary folder that lives until
 * `dispose`.
 */
async function openModel(
  { name, path }: FoundModel,
  { dtype, ...options }: openModel.Options,
  context: JobContext,
): Promise<OpenedModel> {
  const { folder, graph, remove } = await makeRunnable(path, dtype, context);
  try {
    const config = await readFolderConfig(folder);
    const session = await nodeProvider().createSession({ path: graph });
    const lm = createCausalLM(session, { maxPositions: config.maxPositions, ...options });
    const vocabSize = lm.vocabularySize ?? config.vocabSize;
    const vocabulary = folderVocabulary(folder, { vocabSize, bosToken: config.bosToken });
    const dispose = async () => {
      await session.dispose();
      await remove();
    };
    return { path: name, folder, config, vocabulary, lm, dispose };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Opens several models for the time of `work`. */
export async function withModels<T>(
  found: readonly FoundModel[],
  options: openModel.Options,
  context: JobContext,
  work: (models: readonly OpenedModel[]) => Promise<T>,
): Promise<T> {
  const models: OpenedModel[] = [];
  try {
    for (const model of found) models.push(await openModel(model, options, context));
    return await work(models);
  } finally {
    for (const model of models) await model.dispose();
  }
}

async function makeRunnable(
  path: string,
  dtype: Dtype | undefined,
  context: JobContext,
): Promise<RunnableModel> {
  const location = await locateModel(path, dtype);
  if (location.kind === "onnx") return { ...location, remove: async () => {} };
  const { path: folder, remove } = await createTemporaryFolder(context);
  try {
    await exportUnfolded(location.folder, folder, dtype ?? "fp32", context);
    const { graph } = (await locateModel(folder, dtype)) as RunnableModel;
    return { kind: "onnx", folder, graph, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function exportUnfolded(from: string, to: string, dtype: Dtype, context: JobContext): Promise<unknown> {
  return withCheckpoint(from, (checkpoint) => {
    const plan = planFold(checkpoint.config, { keep: "1", dtypes: [dtype] });
    return writeFolder({ checkpoint, plan, from, to, record: () => ({}) }, context);
  });
}
