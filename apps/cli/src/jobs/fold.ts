import { basename, resolve } from "node:path";
import type { StageMoments } from "@kvfold/calibration";
import {
  type Checkpoint,
  type FoldPlan,
  findMethod,
  type foldModel,
  type planFold as plan,
  planFold,
} from "@kvfold/converter";
import { createPendingFolder } from "@kvfold/converter/node";
import { throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { checkOutputFolder } from "../files/output-folder.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import { readMoments, writeMoments } from "../models/moments-files.js";
import { checkIsCheckpoint, checkpointVocabulary, withCheckpoint } from "../models/open-checkpoint-folder.js";
import { writeFolder } from "../models/write-folder.js";
import {
  type CalibrationOptions,
  type CalibrationText,
  describeText,
  readCalibrationText,
} from "../tokens/calibration-windows.js";
import { readVersion } from "../version.js";
import type { JobContext } from "./job.js";

export declare namespace foldCheckpoint {
  interface Options extends plan.Options {
    /** The checkpoint's folder. */
    readonly model: string;
    /** The folder to write. */
    readonly output: string;
    readonly existing?: Existing;
    readonly calibration?: CalibrationOptions | undefined;
    /** A file of moments measured before, in place of calibration text. */
    readonly moments?: string | undefined;
    /** A file to keep the measured moments in. */
    readonly saveMoments?: string | undefined;
  }
  interface Result {
    readonly output: string;
    readonly plan: FoldPlan;
    readonly seconds: number;
    /** Peak resident memory of the process. */
    readonly peakBytes: number;
    readonly cacheBytesPerToken: FoldPlan["cacheBytesPerToken"];
  }
}

/**
 * Folds a checkpoint into a folder that appears complete or not at all.
 *
 * @throws {CliError} `calibration-missing` when the method measures activations and there is no text, `output-exists`
 * when something would be lost; and the errors of the packages that do the work.
 */
export async function foldCheckpoint(
  options: foldCheckpoint.Options,
  context: JobContext,
): Promise<foldCheckpoint.Result> {
  const started = performance.now();
  const { model, output, existing = "refuse", saveMoments } = options;
  await checkIsCheckpoint(model, "folding");
  await checkOutputFolder(output, model, existing);
  if (saveMoments !== undefined) await checkFileTarget(saveMoments, existing);
  const plan = await withCheckpoint(model, async (checkpoint) => {
    const planned = planFold(checkpoint.config, options);
    await writeOutput({ ...options, existing }, { checkpoint, plan: planned, started }, context);
    return planned;
  });
  return {
    output,
    plan,
    seconds: secondsSince(started),
    peakBytes: process.resourceUsage().maxRSS * 1024,
    cacheBytesPerToken: plan.cacheBytesPerToken,
  };
}

interface FoldWork {
  readonly checkpoint: Checkpoint;
  readonly plan: FoldPlan;
  readonly started: number;
}

async function writeOutput(
  options: foldCheckpoint.Options & { readonly existing: Existing },
  work: FoldWork,
  context: JobContext,
): Promise<void> {
  const source = await findMoments(options, work, context);
  const folder = await createPendingFolder(options.output, { existing: options.existing });
  context.onTemporary(folder.path);
  try {
    await writeFolded(options, work, { ...source, to: folder.path }, context);
    throwIfAborted(context.signal);
    await folder.commit();
  } catch (error) {
    await folder.discard();
    throw error;
  }
}

/** What the method learns from: text, moments of text, or nothing. */
interface MomentSource {
  readonly text?: CalibrationText;
  readonly moments?: readonly StageMoments[];
}

async function findMoments(
  { model, calibration, moments, saveMoments }: foldCheckpoint.Options,
  { checkpoint, plan }: FoldWork,
  { signal }: JobContext,
): Promise<MomentSource> {
  const reused =
    moments === undefined ? {} : { moments: await readMoments(moments, checkpoint.config, plan.taps) };
  const measures = plan.taps.length > 0 && moments === undefined;
  if (saveMoments !== undefined && !measures) {
    throw new CliError("usage", `--save-moments: method ${plan.method} measures nothing; leave it out`);
  }
  if (!measures && plan.heal === "none") return reused;
  if (calibration === undefined) throw calibrationMissing(plan, measures);
  const vocabulary = await checkpointVocabulary(model, checkpoint);
  const { maxPositions } = checkpoint.config.shape;
  return { ...reused, text: await readCalibrationText(calibration, vocabulary, { maxPositions, signal }) };
}

function calibrationMissing({ method, heal }: FoldPlan, measures: boolean): CliError {
  const purpose = measures
    ? `method ${method} measures activations`
    : `healing (${heal}) runs the model on text`;
  const otherwise = measures
    ? "reuse measurements with --moments FILE, or choose --method svd-w, which needs none"
    : "or leave it out with --heal none";
  return new CliError(
    "calibration-missing",
    `${purpose}: give some with --calibration FILE.txt (about 1 MB of what the model is for), ${otherwise}`,
  );
}

async function writeFolded(
  { model, saveMoments, existing }: foldCheckpoint.Options & { readonly existing: Existing },
  { checkpoint, plan, started }: FoldWork,
  { text, moments, to }: MomentSource & { readonly to: string },
  context: JobContext,
): Promise<void> {
  const measured: StageMoments[] = [];
  const record = (report: foldModel.Report) => createRecord({ model, plan, text, report, started });
  await writeFolder(
    {
      checkpoint,
      plan,
      from: model,
      to,
      record,
      windows: text?.windows,
      moments,
      onMoments: (layer, stage) => {
        if (saveMoments !== undefined) measured[layer] = stage;
      },
    },
    context,
  );
  if (saveMoments === undefined || measured.length === 0) return;
  await checkFileTarget(saveMoments, existing);
  await writeMoments(saveMoments, measured, { model: nameOf(model), ...(text && describeAsText(text)) });
}

/** What `kvfold.json` holds beside the plan. */
function createRecord({ model, plan, text, report, started }: RecordParts): Record<string, unknown> {
  return {
    kvfold: readVersion(),
    model: nameOf(model),
    created: new Date().toISOString(),
    seconds: secondsSince(started),
    reference: findMethod(plan.method).reference,
    calibration: text === undefined ? null : describeText(text),
    retained: report.retained,
  };
}

interface RecordParts {
  readonly model: string;
  readonly plan: FoldPlan;
  readonly text: CalibrationText | undefined;
  readonly report: foldModel.Report;
  readonly started: number;
}

const nameOf = (model: string): string => basename(resolve(model));

const describeAsText = (text: CalibrationText): Record<string, string> =>
  Object.fromEntries(Object.entries(describeText(text)).map(([key, value]) => [key, String(value)]));

const secondsSince = (started: number): number => (performance.now() - started) / 1000;
