import { dirname, join } from "node:path";
import { type CacheBits, planFold } from "@kvfold/converter";
import type { Dtype } from "@kvfold/decoder";
import { type CausalLM, createCausalLM, type Session, type SessionProvider } from "@kvfold/runtime";
import { type Replacement, sayInstead } from "../files/say-instead.js";
import { createTemporaryFolder } from "../files/temporary-folder.js";
import type { JobContext } from "../jobs/job.js";
import { folderVocabulary, type Vocabulary } from "../tokens/vocabulary.js";
import { type CacheUse, cacheBitsOf, requireCacheGraph } from "./cache-graph.js";
import type { FoundModel } from "./find-model.js";
import { type FolderConfig, readFolderConfig } from "./folder-config.js";
import { folderFrequencies } from "./folder-frequencies.js";
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
  /** The `.onnx` file that is run. */
  readonly graph: string;
  dispose(): Promise<void>;
}

declare namespace openModel {
  interface Options {
    readonly provider: SessionProvider;
    readonly dtype?: Dtype | undefined;
    /** Positions that a checkpoint is exported for at least; its own context unless given. Learned positions stay as they are. */
    readonly positions?: number | undefined;
    /** Tokens that the cache has room for at first. */
    readonly initialCapacity?: number;
    /** Which graph is to be run: policies and quantised caches need graphs of their own. */
    readonly cache?: CacheUse | undefined;
  }
}

type RunnableModel = Extract<ModelLocation, { kind: "onnx" }> & { readonly remove: () => Promise<void> };

/**
 * Loads a model into ONNX Runtime. A checkpoint is exported first, unfolded, to a temporary folder that lives until
 * `dispose`.
 */
async function openModel(
  { name, path }: FoundModel,
  { provider, dtype, positions, cache = "whole", ...options }: openModel.Options,
  context: ExportContext,
): Promise<OpenedModel> {
  const {
    folder,
    graph,
    deltaGraph = graph,
    remove,
    ...graphs
  } = await makeRunnable({ name, path, dtype, positions, cache }, context);
  let session: Session | undefined;
  try {
    const config = await readFolderConfig(folder);
    const whole = provider.graph === "delta" ? deltaGraph : graph;
    const running = cache === "whole" ? whole : requireCacheGraph(name, graphs, cache, provider);
    session = await provider.createSession({ path: running });
    const inverseFrequencies = cache === "whole" ? undefined : await folderFrequencies(folder, config);
    const lm = createCausalLM(session, {
      maxPositions: config.maxPositions,
      inverseFrequencies,
      ...options,
    });
    const vocabSize = lm.vocabularySize ?? config.vocabSize;
    const vocabulary = folderVocabulary(folder, { vocabSize, bosToken: config.bosToken });
    const dispose = async () => {
      try {
        await session?.dispose();
      } finally {
        await remove();
      }
    };
    return { path: name, folder, config, vocabulary, lm, graph: running, dispose };
  } catch (error) {
    await session?.dispose();
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
  const exports: Replacement[] = [];
  return sayInstead(exports, async () => {
    try {
      for (const model of found) models.push(await openModel(model, options, { ...context, exports }));
      return await work(models);
    } finally {
      await Promise.allSettled(models.map((model) => model.dispose()));
    }
  });
}

interface Request {
  /** The model as the user named it. */
  readonly name: string;
  readonly path: string;
  readonly dtype: Dtype | undefined;
  readonly positions: number | undefined;
  readonly cache: CacheUse;
}

/** A context in which messages are told what temporary exports are of. */
interface ExportContext extends JobContext {
  readonly exports: Replacement[];
}

async function makeRunnable(
  { name, path, dtype, positions, cache }: Request,
  { exports, ...context }: ExportContext,
): Promise<RunnableModel> {
  const location = await locateModel(path, dtype);
  if (location.kind === "onnx") {
    if (dtype !== undefined && location.graph === path)
      context.onNotice(`--dtype ${dtype} is not used for ${name}, which is one graph`);
    return { ...location, remove: async () => {} };
  }
  const { path: folder, remove } = await createTemporaryFolder(context);
  exports.push(...namesOfExport(folder, name));
  try {
    const cacheBits = cacheBitsOf(cache);
    await exportUnfolded(location.folder, folder, { dtype: dtype ?? "fp32", positions, cacheBits }, context);
    return { ...((await locateModel(folder, dtype)) as RunnableModel), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Its graph stands for the model; its other files are of interest where the disk is full. */
const namesOfExport = (folder: string, name: string): readonly Replacement[] => [
  [new RegExp(`${escapePattern(join(folder, "onnx"))}[/\\\\]\\w+\\.onnx(?!_data)`, "g"), name],
  [folder, `the export of ${name} in ${dirname(folder)}`],
];

const escapePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

interface ExportOptions {
  readonly dtype: Dtype;
  readonly positions: number | undefined;
  readonly cacheBits: readonly CacheBits[];
}

function exportUnfolded(
  from: string,
  to: string,
  { dtype, positions = 0, cacheBits }: ExportOptions,
  context: JobContext,
): Promise<unknown> {
  return withCheckpoint({ path: from }, context, (checkpoint) => {
    const { embedding, shape } = checkpoint.config;
    const maxPositions =
      embedding.positions === undefined ? Math.max(shape.maxPositions, positions) : shape.maxPositions;
    const plan = planFold(checkpoint.config, { keep: "1", dtypes: [dtype], maxPositions, cacheBits });
    return writeFolder({ checkpoint, plan, from, to, record: () => ({}) }, context);
  });
}
