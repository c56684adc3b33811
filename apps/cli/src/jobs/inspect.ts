import { type Chunk, planFold } from "@kvfold/converter";
import { type LostEnergy, meanLostEnergy } from "@kvfold/converter/internals";
import type { Checkpoint, ModelConfig } from "@kvfold/decoder";
import { type CacheSlot, cacheBytesPerToken, readCacheLayout } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModel } from "../models/find-model.js";
import { readFolderConfig } from "../models/folder-config.js";
import { locateModel, type ModelLocation } from "../models/locate-model.js";
import { checkpointVocabulary, withCheckpoint } from "../models/open-checkpoint-folder.js";
import { type CalibrationOptions, readCalibrationText } from "../tokens/calibration-windows.js";
import { checkWindow } from "../tokens/check-window.js";
import type { JobContext } from "./job.js";
import { calibrationOptions, type OptionNames, requireKnown } from "./known-options.js";
import { ENERGY_FRACTIONS, type LayerEnergy, measureEnergy } from "./measure-energy.js";

export declare namespace inspectModel {
  interface Options {
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    /** Text to measure the energy of keys and values on; checkpoints only. */
    readonly calibration?: CalibrationOptions | undefined;
  }
  interface Result {
    readonly path: string;
    readonly kind: ModelLocation["kind"];
    /** Family of a checkpoint, `model_type` of a graph. */
    readonly family: string;
    readonly layers: number;
    /** Query heads; `null` where a graph does not say. */
    readonly heads: number | null;
    /** `null` where layers differ. */
    readonly kvHeads: number | null;
    /** Numbers per KV head and token; `null` where layers differ. */
    readonly headDim: number | null;
    /** Longest context in tokens; `null` where nothing limits it. */
    readonly maxPositions: number | null;
    readonly cache: Cache;
    /** What is left of the original's cache, for models that kvfold folded. */
    readonly kept?: Kept;
    readonly energy?: Energy;
  }
  interface Kept {
    /** What was asked for, e.g. `1/4`. */
    readonly keep: string;
    /** What it came to, 0 to 1. */
    readonly achieved: number;
  }
  /** Bytes of the KV cache. A checkpoint's in float32, which halves in float16. */
  interface Cache {
    readonly type: "float32" | "float16" | "uint8";
    readonly bytesPerToken: number;
    readonly bytesAtFullContext: number | null;
  }
  interface Energy {
    readonly fractions: readonly number[];
    readonly layers: readonly LayerEnergy[];
    /** What all layers lose, each counting alike. */
    readonly lost: LostEnergy;
    /** The chunks that keys of joint latents turn in. */
    readonly chunk: Chunk;
    readonly windows: number;
    readonly window: number;
  }
}

const OPTIONS: OptionNames<inspectModel.Options> = {
  model: true,
  hub: true,
  calibration: calibrationOptions,
};

/**
 * Describes a model's heads and cache, and on request where the energy of its keys and values lies.
 *
 * @throws {CliError} `unsupported-model` when energy is asked of an ONNX export, which has no weights to look at.
 */
export async function inspectModel(
  given: inspectModel.Options,
  context: JobContext,
): Promise<inspectModel.Result> {
  const { model, hub, calibration } = requireKnown("inspectModel", given, OPTIONS);
  const { path } = await findModel(model, hub, context);
  const location = await locateModel(path);
  if (location.kind === "checkpoint") {
    return { ...(await inspectCheckpoint(path, calibration, context)), path: model };
  }
  if (calibration === undefined) return inspectGraph(model, location);
  throw new CliError(
    "unsupported-model",
    `${model} is an ONNX export; --calibration measures the checkpoint (config.json and safetensors) it was made from`,
  );
}

function inspectCheckpoint(
  path: string,
  calibration: CalibrationOptions | undefined,
  context: JobContext,
): Promise<inspectModel.Result> {
  return withCheckpoint({ path }, context, async (checkpoint) => {
    const description = describeCheckpoint(path, checkpoint.config);
    if (calibration === undefined) return description;
    return { ...description, energy: await measure(path, checkpoint, calibration, context) };
  });
}

function describeCheckpoint(path: string, config: ModelConfig): inspectModel.Result {
  const { layers, heads, kvHeads, headDim, maxPositions } = config.shape;
  const { before: bytesPerToken } = planFold(config, { keep: "1" }).cacheBytesPerToken;
  return {
    path,
    kind: "checkpoint",
    family: config.family.name,
    layers,
    heads,
    kvHeads,
    headDim,
    maxPositions,
    cache: { type: "float32", bytesPerToken, bytesAtFullContext: bytesPerToken * maxPositions },
  };
}

async function measure(
  path: string,
  checkpoint: Checkpoint,
  calibration: CalibrationOptions,
  context: JobContext,
): Promise<inspectModel.Energy> {
  const vocabulary = await checkpointVocabulary(path, checkpoint);
  const { maxPositions } = checkpoint.config.shape;
  checkWindow(calibration.window, maxPositions, path);
  const { signal } = context;
  const { windows, window } = await readCalibrationText(calibration, vocabulary, { maxPositions, signal });
  const { layers, plan } = await measureEnergy(checkpoint, windows, context);
  const lost = meanLostEnergy(layers.map((layer) => layer.lost));
  const chunk = plan.chunk ?? 1;
  return { fractions: ENERGY_FRACTIONS, layers, lost, chunk, windows: windows.length, window };
}

async function inspectGraph(
  path: string,
  { folder, graph }: Extract<ModelLocation, { kind: "onnx" }>,
): Promise<inspectModel.Result> {
  const { modelType = "unknown", maxPositions = null, heads, record } = await readFolderConfig(folder);
  const layout = await readGraphCache(graph);
  const bytesPerToken = cacheBytesPerToken(layout);
  const keys = layout.layers.map(({ key, latent }): CacheSlot => (key ?? latent)!);
  return {
    path,
    kind: "onnx",
    family: modelType,
    layers: layout.layers.length,
    heads: heads ?? null,
    kvHeads: shared(keys.map((slot) => slot.heads)),
    headDim: shared(keys.map((slot) => slot.size)),
    maxPositions,
    cache: {
      type: keys[0]!.type,
      bytesPerToken,
      bytesAtFullContext: maxPositions === null ? null : bytesPerToken * maxPositions,
    },
    ...keptShare(record),
  };
}

/** What `kvfold.json` says of the share that was kept; folders of other tools, and of older versions, say nothing. */
function keptShare(record: Readonly<Record<string, unknown>> | undefined): { kept?: inspectModel.Kept } {
  const { keep, achieved } = (record?.plan ?? {}) as Partial<inspectModel.Kept>;
  return typeof keep === "string" && typeof achieved === "number" ? { kept: { keep, achieved } } : {};
}

/** The one value of all layers. */
const shared = (values: readonly number[]): number | null =>
  values.every((value) => value === values[0]) ? values[0]! : null;

async function readGraphCache(graph: string): Promise<ReturnType<typeof readCacheLayout>> {
  // Only the declared inputs and outputs are of interest: weights stay in the file.
  const session = await nodeProvider().createSession(
    { path: graph },
    { optimization: "disabled", prepack: false },
  );
  try {
    return readCacheLayout(session);
  } finally {
    await session.dispose();
  }
}
