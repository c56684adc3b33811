import { availableParallelism, freemem } from "node:os";
import type { ShardExchange, StageMoments } from "@kvfold/calibration";
import { type FoldPlan, findMethod, type planFold } from "@kvfold/converter";
import { planRequest } from "@kvfold/converter/internals";
import { createPendingFolder, type FolderJournal, shardPlace, type writeModel } from "@kvfold/converter/node";
import type { Checkpoint } from "@kvfold/decoder";
import { throwIfAborted } from "@kvfold/runtime";
import { sayInstead } from "../files/say-instead.js";
import type { Existing } from "../files/whole-file.js";
import type { GoalReport } from "../goals/goal.js";
import type { WeightsModel } from "../models/locate-weights.js";
import type { OpenedDevice } from "../models/open-device.js";
import { type WriteOptions, writeFolder } from "../models/write-folder.js";
import { type CalibrationText, describeText } from "../tokens/calibration-windows.js";
import { readVersion } from "../version.js";
import type { JobContext } from "./job.js";
import { writesOutput } from "./open-spread.js";

/** What is folded, and since when. */
export interface FoldWork {
  readonly model: WeightsModel;
  readonly checkpoint: Checkpoint;
  readonly plan: FoldPlan;
  /** The options of the plan, for those who want to repeat it. */
  readonly request: planFold.Options;
  readonly opened: OpenedDevice;
  readonly started: number;
  /** How the fold was chosen, where it was. */
  readonly goal?: GoalReport | undefined;
}

/** What the method learns from: text, moments of text, or nothing. */
export interface MomentSource {
  readonly text?: CalibrationText | undefined;
  readonly moments?: readonly StageMoments[] | undefined;
}

/** The same, and what an earlier run of the same fold finished. */
export interface FoldSource extends MomentSource {
  readonly journal: FolderJournal | undefined;
  /** Of a fold that several processes share. */
  readonly exchange?: ShardExchange | undefined;
}

/** A fold into an empty folder. */
export interface FolderFold extends FoldSource {
  readonly to: string;
  /** Called with what was measured of each layer. */
  readonly onMoments?: ((layer: number, stage: StageMoments) => void) | undefined;
}

/** An output that is in its place. */
export interface WrittenOutput {
  /** The plan that was carried out. */
  readonly plan: FoldPlan;
  /** By layer, where moments are to be kept and were measured. */
  readonly measured: readonly StageMoments[];
}

interface OutputOptions {
  readonly output: string;
  readonly existing: Existing;
  readonly saveMoments?: string | undefined;
}

/** Folds into a folder that appears at `output` complete or not at all; of several processes that fold together, the first one's. */
export async function writeOutput(
  options: OutputOptions,
  work: FoldWork,
  source: FoldSource,
  context: JobContext,
): Promise<WrittenOutput> {
  const { output, existing, saveMoments } = options;
  const folder = await createPendingFolder(shardPlace(output, source.exchange?.shard), { existing });
  context.onTemporary(folder.path);
  return sayInstead([[folder.path, output]], async () => {
    try {
      const { measured, onMoments } = collectMoments();
      const wanted = saveMoments === undefined ? {} : { onMoments };
      const plan = await writeFolded(work, { ...source, to: folder.path, ...wanted }, context);
      throwIfAborted(context.signal);
      if (!writesOutput(source.exchange)) {
        await folder.discard();
        return { plan, measured };
      }
      await source.journal?.saveOutput(folder.path);
      await folder.commit();
      return { plan, measured };
    } catch (error) {
      await folder.discard();
      throw error;
    }
  });
}

/** Keeps what a fold measures, by layer. */
export function collectMoments(): Pick<WrittenOutput, "measured"> & Required<Pick<FolderFold, "onMoments">> {
  const measured: StageMoments[] = [];
  const onMoments = (layer: number, stage: StageMoments): void => {
    measured[layer] = stage;
  };
  return { measured, onMoments };
}

/** Folds into an empty folder, and returns the plan that was carried out. */
export async function writeFolded(
  { model, checkpoint, plan, request, opened, started, goal }: FoldWork,
  { text, moments, journal, exchange, to, onMoments }: FolderFold,
  context: JobContext,
): Promise<FoldPlan> {
  const { notices } = checkpoint;
  const record = (report: writeModel.Report) =>
    createRecord({ model, request, notices, text, report, started, device: opened.device, goal });
  const report = await writeFolder(
    {
      checkpoint,
      plan,
      provider: opened.provider,
      ...besideGpu(opened),
      from: model.path,
      to,
      record,
      windows: text?.windows,
      moments,
      journal,
      exchange,
      onMoments,
    },
    context,
  );
  return report.plan;
}

/** Streams of hidden states may each take this share of the free memory where a GPU works on them faster than files. */
const STREAM_SHARE = 1 / 16;
const LEAST_STREAM_BYTES = 512 * 2 ** 20;

/** While a model runs on a GPU, the cores and the memory of the CPU are free. */
function besideGpu({ device }: OpenedDevice): Pick<WriteOptions, "algebraThreads" | "memoryBytes"> {
  if (device === "cpu") return {};
  const memoryBytes = Math.max(LEAST_STREAM_BYTES, freemem() * STREAM_SHARE);
  return { algebraThreads: availableParallelism(), memoryBytes };
}

interface RecordParts {
  readonly model: WeightsModel;
  readonly request: planFold.Options;
  readonly notices: readonly string[];
  readonly text: CalibrationText | undefined;
  readonly report: writeModel.Report;
  readonly started: number;
  readonly device: OpenedDevice["device"];
  readonly goal: GoalReport | undefined;
}

/** What `kvfold.json` holds beside the plan. */
function createRecord({
  model,
  request,
  notices,
  text,
  report,
  started,
  device,
  goal,
}: RecordParts): Record<string, unknown> {
  return {
    kvfold: readVersion(),
    model: model.title,
    request: planRequest(request),
    // What of the checkpoint is not in the output.
    ...(notices.length === 0 ? {} : { notices }),
    created: new Date().toISOString(),
    seconds: secondsSince(started),
    device,
    reference: findMethod(report.plan.method).reference,
    calibration: text === undefined ? null : describeText(text),
    ...(goal === undefined ? {} : { goal }),
    retained: report.retained,
  };
}

/** Seconds from `performance.now()` as it was then. */
export const secondsSince = (started: number): number => (performance.now() - started) / 1000;
