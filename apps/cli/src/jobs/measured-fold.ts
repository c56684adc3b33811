import type { StageMoments } from "@kvfold/calibration";
import { type planFold as plan, planFold } from "@kvfold/converter";
import { createPendingFolder, type PendingFolder } from "@kvfold/converter/node";
import { meanOfSums, sumPositions, type WindowSum } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { sayInstead } from "../files/say-instead.js";
import type { Existing } from "../files/whole-file.js";
import type { FoundModel } from "../models/find-model.js";
import { toRun } from "../models/locate-weights.js";
import type { CalibrationText } from "../tokens/calibration-windows.js";
import type { JobContext } from "./job.js";
import { measureModels } from "./measure-models.js";
import { collectMoments, type FoldWork, type WrittenOutput, writeFolded } from "./write-output.js";

/** What is folded, while nothing is planned. */
export type ModelWork = Omit<FoldWork, "plan" | "request" | "goal">;

/** A text that a part is held back from, and what the original makes of that part. */
export interface HeldText {
  /** What folds are fitted to. */
  readonly fit: CalibrationText;
  readonly heldOut: readonly Int32Array[];
  /** Of the original on each of them, nats. */
  readonly original: readonly WindowSum[];
}

/** Share of the windows that no fold sees. */
const HELD_SHARE = 1 / 8;
const MOST_HELD = 16;
/** Windows that are fitted to, at least. */
const LEAST_FITTED = 2;

/** Whether windows of a text can be held back. */
export const canHoldBack = ({ windows }: CalibrationText): boolean => windows.length > LEAST_FITTED;

/**
 * Holds the last windows of a text back, and measures the original on them.
 *
 * @throws {CliError} `insufficient-text` for a text too short.
 */
export async function holdBack(
  text: CalibrationText,
  work: ModelWork,
  context: JobContext,
): Promise<HeldText> {
  const { windows } = text;
  if (!canHoldBack(text))
    throw new CliError(
      "insufficient-text",
      `--max-loss holds windows of the calibration text back to measure on, and ${windows.length} are too few; give a longer text, or a shorter --window`,
    );
  const held = Math.min(MOST_HELD, Math.max(1, Math.round(windows.length * HELD_SHARE)));
  const heldOut = windows.slice(-held);
  const original = await sumLosses(work, toRun(work.model), heldOut, context);
  return { fit: { ...text, windows: windows.slice(0, -held) }, heldOut, original };
}

/** A fold that is written and measured, and not yet in its place. */
export interface MeasuredFold extends WrittenOutput {
  readonly keep: string;
  /** How much perplexity rose on the held-out windows, as a share. */
  readonly loss: number;
  readonly folder: PendingFolder;
}

export declare namespace foldAndMeasure {
  interface Options {
    readonly request: plan.Options;
    readonly output: string;
    readonly existing: Existing;
    readonly work: ModelWork;
    readonly text: HeldText;
    /** Of an earlier fold of the same text by the same method: moments are those of the original, whatever the share. */
    readonly measured: readonly StageMoments[];
  }
}

/** Folds into a folder beside the output, which the caller commits or discards, and measures it. */
export async function foldAndMeasure(
  { request, output, existing, work, text, measured }: foldAndMeasure.Options,
  context: JobContext,
): Promise<MeasuredFold> {
  const plan = planFold(work.checkpoint.config, request);
  const { keep } = plan;
  const folder = await createPendingFolder(output, { existing });
  context.onTemporary(folder.path);
  try {
    const collected = collectMoments();
    const isFirst = measured.length === 0;
    const written = await sayInstead([[folder.path, output]], () => {
      const known = isFirst ? { onMoments: collected.onMoments } : { moments: measured };
      const source = { text: text.fit, journal: undefined, to: folder.path, ...known };
      return writeFolded({ ...work, plan, request: { ...request, keep } }, source, context);
    });
    const model = { name: `keep ${keep}`, path: folder.path, title: output };
    const sums = await sumLosses(work, model, text.heldOut, context);
    return {
      keep,
      loss: Math.expm1(meanOfSums(sums) - meanOfSums(text.original)),
      folder,
      plan: written,
      measured: isFirst ? collected.measured : measured,
    };
  } catch (error) {
    await folder.discard();
    throw error;
  }
}

/** Nats of each window. */
async function sumLosses(
  { opened, checkpoint }: ModelWork,
  model: FoundModel,
  windows: readonly Int32Array[],
  context: JobContext,
): Promise<readonly WindowSum[]> {
  const { models } = await measureModels(
    [model],
    {
      provider: opened.provider,
      dtype: undefined,
      windows,
      shifts: [0],
      positions: checkpoint.config.shape.maxPositions,
      divergence: "skip",
      shortContext: undefined,
    },
    { ...context, onNotice() {} },
  );
  return models[0]!.runs[0]!.losses.map((losses) => sumPositions(losses));
}
