import type { StageMoments } from "@kvfold/calibration";
import { type FoldPlan, findBudget, findMethod, type planFold as plan, planFold } from "@kvfold/converter";
import {
  createPendingFolder,
  type FolderJournal,
  openJournal,
  type writeModel,
} from "@kvfold/converter/node";
import type { Checkpoint } from "@kvfold/decoder";
import { throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { checkOutputFolder } from "../files/output-folder.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { type FoundModel, findModel } from "../models/find-model.js";
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
    /** The checkpoint's folder, or with `hub` a model there. */
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    /** The folder to write. */
    readonly output: string;
    readonly existing?: Existing;
    readonly calibration?: CalibrationOptions | undefined;
    /** A file of moments measured before, in place of calibration text. */
    readonly moments?: string | undefined;
    /** A file to keep the measured moments in. */
    readonly saveMoments?: string | undefined;
    /**
     * A folder to keep finished blocks in, and to go on from where an earlier run of the same fold was stopped. Gone once
     * the output is there.
     */
    readonly journal?: string | undefined;
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
 * when something would be lost; `unusable-journal` when the journal is of another fold; and the errors of the packages
 * that do the work.
 */
export async function foldCheckpoint(
  options: foldCheckpoint.Options,
  context: JobContext,
): Promise<foldCheckpoint.Result> {
  const started = performance.now();
  const { output, existing = "refuse", saveMoments } = options;
  const model = await findModel(options.model, options.hub, context);
  await checkIsCheckpoint(model.path, "folding");
  await checkOutputFolder(output, model.path, existing);
  if (saveMoments !== undefined) await checkFileTarget(saveMoments, existing);
  const plan = await withCheckpoint(model.path, async (checkpoint) => {
    const planned = planFold(checkpoint.config, options);
    return foldWithJournal({ ...options, existing }, { model, checkpoint, plan: planned, started }, context);
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
  readonly model: FoundModel;
  readonly checkpoint: Checkpoint;
  readonly plan: FoldPlan;
  readonly started: number;
}

/** Folds with a journal if one is wanted, and returns the plan that was carried out. */
async function foldWithJournal(
  options: foldCheckpoint.Options & { readonly existing: Existing },
  work: FoldWork,
  context: JobContext,
): Promise<FoldPlan> {
  const source = await findMoments(options, work, context);
  const journal = await findJournal(options, work, source);
  const plan = await writeOutput(options, work, { ...source, journal }, context);
  await journal?.remove();
  return plan;
}

/** Writes the output and returns the plan that was carried out. */
async function writeOutput(
  options: foldCheckpoint.Options & { readonly existing: Existing },
  work: FoldWork,
  source: FoldSource,
  context: JobContext,
): Promise<FoldPlan> {
  const folder = await createPendingFolder(options.output, { existing: options.existing });
  context.onTemporary(folder.path);
  try {
    const plan = await writeFolded(options, work, { ...source, to: folder.path }, context);
    throwIfAborted(context.signal);
    await folder.commit();
    return plan;
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

/** The same, and what an earlier run of the same fold finished. */
interface FoldSource extends MomentSource {
  readonly journal: FolderJournal | undefined;
}

async function findJournal(
  { journal }: foldCheckpoint.Options,
  { checkpoint, plan }: FoldWork,
  { text, moments }: MomentSource,
): Promise<FolderJournal | undefined> {
  if (journal === undefined) return undefined;
  const windows = text?.windows;
  return openJournal({ folder: journal, checkpoint, plan, windows, moments, version: readVersion() });
}

async function findMoments(
  { calibration, moments, saveMoments }: foldCheckpoint.Options,
  { model, checkpoint, plan }: FoldWork,
  { signal }: JobContext,
): Promise<MomentSource> {
  const reused =
    moments === undefined ? {} : { moments: await readMoments(moments, checkpoint.config, plan.taps) };
  const measures = plan.taps.length > 0 && moments === undefined;
  if (saveMoments !== undefined && !measures) {
    throw new CliError("usage", `--save-moments: method ${plan.method} measures nothing; leave it out`);
  }
  const runs = measures || plan.heal !== "none" || findBudget(plan.budget).needsText;
  if (!runs) return reused;
  if (calibration === undefined) throw calibrationMissing(plan, measures);
  const vocabulary = await checkpointVocabulary(model.path, checkpoint);
  const { maxPositions } = checkpoint.config.shape;
  return { ...reused, text: await readCalibrationText(calibration, vocabulary, { maxPositions, signal }) };
}

function calibrationMissing(plan: FoldPlan, measures: boolean): CliError {
  const { purpose, otherwise } = measures ? measuringText(plan) : runningText(plan);
  return new CliError(
    "calibration-missing",
    `${purpose}: give some with --calibration FILE.txt (about 1 MB of what the model is for), or ${otherwise}`,
  );
}

/** What text is for, and what to do without it. */
interface TextPurpose {
  readonly purpose: string;
  readonly otherwise: string;
}

const measuringText = ({ method }: FoldPlan): TextPurpose => ({
  purpose: `method ${method} measures activations`,
  otherwise: "reuse measurements with --moments FILE, or choose --method svd-w, which needs none",
});

const runningText = ({ heal, budget }: FoldPlan): TextPurpose =>
  heal === "none"
    ? { purpose: `budget ${budget} runs the model on text`, otherwise: "leave it out with --budget uniform" }
    : { purpose: `healing (${heal}) runs the model on text`, otherwise: "leave it out with --heal none" };

async function writeFolded(
  { saveMoments, existing }: foldCheckpoint.Options & { readonly existing: Existing },
  { model, checkpoint, plan, started }: FoldWork,
  { text, moments, journal, to }: FoldSource & { readonly to: string },
  context: JobContext,
): Promise<FoldPlan> {
  const measured: StageMoments[] = [];
  const keep = (layer: number, stage: StageMoments) => {
    measured[layer] = stage;
  };
  const record = (report: writeModel.Report) => createRecord({ model, text, report, started });
  const report = await writeFolder(
    {
      checkpoint,
      plan,
      from: model.path,
      to,
      record,
      windows: text?.windows,
      moments,
      journal,
      onMoments: saveMoments === undefined ? undefined : keep,
    },
    context,
  );
  if (saveMoments !== undefined && measured.length > 0) {
    await checkFileTarget(saveMoments, existing);
    await writeMoments(saveMoments, measured, { model: model.title, ...(text && describeAsText(text)) });
  }
  return report.plan;
}

/** What `kvfold.json` holds beside the plan. */
function createRecord({ model, text, report, started }: RecordParts): Record<string, unknown> {
  return {
    kvfold: readVersion(),
    model: model.title,
    created: new Date().toISOString(),
    seconds: secondsSince(started),
    reference: findMethod(report.plan.method).reference,
    calibration: text === undefined ? null : describeText(text),
    retained: report.retained,
  };
}

interface RecordParts {
  readonly model: FoundModel;
  readonly text: CalibrationText | undefined;
  readonly report: writeModel.Report;
  readonly started: number;
}

const describeAsText = (text: CalibrationText): Record<string, string> =>
  Object.fromEntries(Object.entries(describeText(text)).map(([key, value]) => [key, String(value)]));

const secondsSince = (started: number): number => (performance.now() - started) / 1000;
