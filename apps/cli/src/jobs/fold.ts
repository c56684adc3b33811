import { existsSync } from "node:fs";
import type { StageMoments } from "@kvfold/calibration";
import {
  type FoldPlan,
  findBudget,
  findMethod,
  idleDtypes,
  type planFold as plan,
  planFold,
  roundsToFourBits,
} from "@kvfold/converter";
import { type FolderJournal, openJournal, shardPlace } from "@kvfold/converter/node";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import { clearStale } from "../files/clear-stale.js";
import { journalFolder } from "../files/journal-folder.js";
import { checkModelIsElsewhere, checkOutputFolder } from "../files/output-folder.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import { foldChoices } from "../goals/candidates.js";
import type { Goal, GoalReport } from "../goals/goal.js";
import { type Recipe, readRecipe, recipeCalibration } from "../goals/read-recipe.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModel } from "../models/find-model.js";
import { locateWeights } from "../models/locate-weights.js";
import { readMoments, readMomentsWindow, writeMoments } from "../models/moments-files.js";
import { withCheckpoint } from "../models/open-checkpoint-folder.js";
import { type DeviceOptions, openDevice } from "../models/open-device.js";
import { readModelText } from "../models/read-model-text.js";
import {
  type CalibrationOptions,
  type CalibrationText,
  DEFAULT_WINDOW,
  describeAsText,
} from "../tokens/calibration-windows.js";
import { readVersion } from "../version.js";
import { calibrationMissing } from "./calibration-missing.js";
import { foldWithinLoss } from "./fold-within-loss.js";
import type { JobContext } from "./job.js";
import {
  calibrationOptions,
  deviceOptions,
  type OptionNames,
  planOptions,
  requireKnown,
} from "./known-options.js";
import type { ModelWork } from "./measured-fold.js";
import { openSpread, type Spread, writesOutput } from "./open-spread.js";
import { type SettledFold, settleWithinBytes } from "./settle-within-bytes.js";
import {
  type FoldSource,
  type FoldWork,
  type MomentSource,
  secondsSince,
  type WrittenOutput,
  writeOutput,
} from "./write-output.js";

export declare namespace foldCheckpoint {
  interface Options extends Omit<plan.Options, "keep">, DeviceOptions {
    /** Share of the cache to keep, unless a goal or a recipe settles it. */
    readonly keep?: string | number | undefined;
    /** What the fold is to reach: the share follows from it. */
    readonly goal?: Goal | undefined;
    /** The `kvfold.json` of an earlier fold, whose options and windows are taken. */
    readonly recipe?: string | undefined;
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
    /** Where several processes fold together. The first shard writes the output. */
    readonly spread?: Spread | undefined;
    /**
     * A folder to keep finished blocks in, and to go on from where an earlier run of the same fold was stopped. Gone once
     * the output is there.
     */
    readonly journal?: string | undefined;
  }
  interface Result {
    readonly output: string;
    /** Which part of a shared fold this was; the output is the first one's. */
    readonly shard?: Spread["shard"];
    /** What ran the blocks of the model. */
    readonly device: ExecutionProvider;
    readonly plan: FoldPlan;
    readonly seconds: number;
    /** Peak resident memory of the process. */
    readonly peakBytes: number;
    readonly cacheBytesPerToken: FoldPlan["cacheBytesPerToken"];
    /** Where the fold was to keep within a loss, or chosen among those within a size. */
    readonly goal?: GoalReport;
  }
}

const OPTIONS: OptionNames<foldCheckpoint.Options> = {
  ...planOptions,
  ...deviceOptions,
  keep: true,
  goal: true,
  recipe: true,
  model: true,
  hub: true,
  output: true,
  existing: true,
  moments: true,
  saveMoments: true,
  journal: true,
  spread: { shard: true, folder: true, timeoutSeconds: true },
  calibration: calibrationOptions,
};

/**
 * Folds a checkpoint into a folder that appears complete or not at all.
 *
 * @throws {CliError} `calibration-missing` when the method measures activations and there is no text, `output-exists`
 * when something would be lost; `unusable-journal` when the journal is of another fold; and the errors of the packages
 * that do the work.
 */
export async function foldCheckpoint(
  given: foldCheckpoint.Options,
  context: JobContext,
): Promise<foldCheckpoint.Result> {
  const { existing = "refuse", ...rest } = requireKnown("foldCheckpoint", given, OPTIONS);
  const started = performance.now();
  const recipe = rest.recipe === undefined ? undefined : await readRecipe(rest.recipe);
  const options = { ...withRecipe(rest, recipe), existing };
  const { output } = options;
  const opened = await openDevice(options, context);
  const found = await findModel(options.model, options.hub, context);
  const model = await locateWeights(found, "folding");
  await checkModelIsElsewhere(output, model.path);
  await preparePlaces(options, context);
  if (recipe !== undefined) tellRecipe(recipe, model.title, context);
  const { plan, goal } = await withCheckpoint(model, context, (checkpoint) =>
    foldTowards(options, { model, checkpoint, opened, started }, context),
  );
  return {
    output,
    ...(options.spread === undefined ? {} : { shard: options.spread.shard }),
    device: opened.device,
    plan,
    seconds: secondsSince(started),
    peakBytes: process.resourceUsage().maxRSS * 1024,
    cacheBytesPerToken: plan.cacheBytesPerToken,
    ...(goal === undefined ? {} : { goal }),
  };
}

/** The options with those of a recipe in their place. */
const withRecipe = (
  options: Omit<foldCheckpoint.Options, "existing">,
  recipe: Recipe | undefined,
): Omit<foldCheckpoint.Options, "existing"> =>
  recipe === undefined
    ? options
    : { ...options, ...recipe.request, calibration: recipeCalibration(recipe, options.calibration) };

function tellRecipe({ model, version }: Recipe, title: string, { onNotice }: JobContext): void {
  if (model !== title)
    onNotice(
      `the recipe is of a fold of ${model ?? "another model"}, and this is ${title}: the same options are taken`,
    );
  if (version !== readVersion())
    onNotice(
      `kvfold ${version ?? "of another version"} made the recipe, and this is ${readVersion()}: bytes may differ`,
    );
}

interface FoldOutcome {
  readonly plan: FoldPlan;
  readonly goal?: GoalReport;
}

/** Folds to the share that is given, or that the goal leads to. */
async function foldTowards(options: FoldOptions, work: ModelWork, context: JobContext): Promise<FoldOutcome> {
  const window = await windowOf(options);
  const { goal } = options;
  if (goal !== undefined && "maxLoss" in goal)
    return foldWithin(goal.maxLoss, { ...options, window }, work, context);
  const settled = await settle({ ...options, window }, work, context);
  const request = { ...options, ...settled.choice };
  const plan = planFold(work.checkpoint.config, { ...request, window });
  tellUnused(options, plan, context);
  const { report } = settled;
  const done = await foldWithJournal(options, { ...work, plan, request, goal: report }, context);
  return { plan: done, ...(report === undefined ? {} : { goal: report }) };
}

/** What is folded to: as it is given, or by the bytes that a token may take. */
async function settle(options: FoldOptions, work: ModelWork, context: JobContext): Promise<SettledFold> {
  const { keep, goal, ...open } = options;
  if (goal !== undefined && "maxBytes" in goal)
    return settleWithinBytes({ ...open, maxBytes: goal.maxBytes }, work, context);
  if (keep !== undefined) return { choice: { keep } };
  throw new CliError("usage", "keep: say how much of the cache to keep", { option: "keep" });
}

/** Folds to the smallest share that keeps within the loss. */
async function foldWithin(
  maxLoss: number,
  options: FoldOptions,
  work: ModelWork,
  context: JobContext,
): Promise<FoldOutcome> {
  const { moments, journal, spread, calibration } = options;
  if (spread !== undefined)
    throw new CliError(
      "usage",
      "--shard cannot be used with --max-loss, which measures folds as it goes; give --keep",
    );
  if (moments !== undefined || journal !== undefined)
    throw new CliError(
      "usage",
      `${moments === undefined ? "--resume" : "--moments"} cannot be used with --max-loss, which may fold more than once; leave it out, or give --keep`,
    );
  const [choice] = foldChoices(work.checkpoint.config, options);
  const request = { ...options, ...choice, keep: "1/2" };
  const plan = planFold(work.checkpoint.config, request);
  tellUnused(options, plan, context);
  if (!plan.formats.includes("onnx"))
    throw new CliError("usage", "--max-loss runs the folded graph to measure it: add --format onnx");
  if (calibration === undefined)
    throw new CliError(
      "calibration-missing",
      "calibration: --max-loss measures on text; give about 1 MB of what the model is for",
      { option: "calibration" },
    );
  const text = await readModelText(calibration, work, context.signal);
  const { report, ...written } = await foldWithinLoss({ ...options, maxLoss }, work, text, context);
  await keepMoments(options, { ...work, plan, request }, { text, measured: written.measured });
  return { plan: written.plan, goal: report };
}

/** Tokens of the windows that are measured, or were. */
const windowOf = async ({ moments, calibration }: foldCheckpoint.Options): Promise<number | undefined> =>
  moments === undefined ? (calibration?.window ?? DEFAULT_WINDOW) : readMomentsWindow(moments);

/** Says of a seed that nothing draws from it, and of number types that no file is written in. */
function tellUnused({ seed = 0, moments }: FoldOptions, plan: FoldPlan, { onNotice }: JobContext): void {
  const drawsTokens = plan.metric === "loss" && moments === undefined;
  if (seed !== 0 && findMethod(plan.method).draws !== true && !drawsTokens)
    onNotice(`seed ${seed} is not used: method ${plan.method} draws no random numbers`);
  tellIdle(plan, onNotice);
}

function tellIdle(plan: FoldPlan, onNotice: JobContext["onNotice"]): void {
  const { formats, dtypes } = plan;
  const idle = idleDtypes(plan);
  if (idle.length === 0) return;
  const held = dtypes.find((dtype) => !idle.includes(dtype));
  const reason = formats.every((format) => format === "hf")
    ? `a checkpoint (format hf) holds one float type, here ${held}`
    : `no file of format ${formats.join()} is written in it`;
  onNotice(`dtype ${idle.join()} is not used: ${reason}`);
}

/** The options with `existing` settled. */
type FoldOptions = foldCheckpoint.Options & { readonly existing: Existing };

/** Clears what killed runs left, and finds out early what would only fail at the end. */
async function preparePlaces(options: FoldOptions, context: JobContext): Promise<void> {
  const { output, saveMoments, journal, spread } = options;
  await clearStale(shardPlace(output, spread?.shard), context);
  if (saveMoments !== undefined) await clearStale(saveMoments, context);
  // A run that was killed at its very end left the output that is to be: the journal tells.
  if (journal === undefined || !existsSync(journal)) await checkPlaces(options);
  const kept = journalFolder(output, spread?.shard);
  if (journal === undefined && existsSync(kept))
    context.onNotice(
      `${kept} holds what a stopped fold finished; go on from there with resume, or remove it`,
    );
}

async function checkPlaces({ output, saveMoments, existing }: FoldOptions): Promise<void> {
  await checkOutputFolder(output, existing);
  if (saveMoments !== undefined) await checkFileTarget(saveMoments, existing);
}

/** Folds with a journal if one is wanted, and returns the plan that was carried out. */
async function foldWithJournal(options: FoldOptions, work: FoldWork, context: JobContext): Promise<FoldPlan> {
  const source = await findMoments(options, work, context);
  const journal = await findJournal(options, work, source, context);
  const { text, moments } = source;
  const about = { checkpoint: work.checkpoint, plan: work.plan, windows: text?.windows, moments };
  const exchange = await openSpread(options.spread, about, context).catch(async (error: unknown) => {
    await journal?.close();
    throw error;
  });
  try {
    const { plan, measured } =
      (await findComplete(options, journal)) ??
      (await foldAnew(options, work, { ...source, journal, exchange }, context));
    if (writesOutput(exchange)) await keepMoments(options, work, { text, measured });
    await exchange?.end();
    await journal?.remove();
    return plan;
  } finally {
    await exchange?.close();
    await journal?.close();
  }
}

async function foldAnew(
  options: FoldOptions,
  work: FoldWork,
  source: FoldSource,
  context: JobContext,
): Promise<WrittenOutput> {
  await checkPlaces(options);
  return writeOutput(options, work, source, context);
}

/** What an earlier run of this fold wrote, if it was killed after its output was in place. */
async function findComplete(
  { output, saveMoments }: FoldOptions,
  journal: FolderJournal | undefined,
): Promise<WrittenOutput | undefined> {
  if (journal === undefined || !(await journal.isOutput(output))) return undefined;
  const measured: StageMoments[] = [];
  for (let layer = 0; saveMoments !== undefined && layer < journal.blocks; layer++) {
    const { moments } = await journal.readBlock(layer);
    if (moments !== undefined) measured.push(moments);
  }
  return { plan: journal.plan, measured };
}

/** Keeps what was measured, where that is wanted: the output is in place by then, and stays. */
async function keepMoments(
  { output, saveMoments, existing }: FoldOptions,
  { model }: FoldWork,
  { text, measured }: { readonly text: CalibrationText | undefined } & Pick<WrittenOutput, "measured">,
): Promise<void> {
  if (saveMoments === undefined || measured.length === 0) return;
  const description = { model: model.title, ...(text && describeAsText(text)) };
  await writeMoments(saveMoments, measured, { description, existing }).catch((error: Error) => {
    error.message = `${output} is complete, but not what was measured: ${error.message}`;
    throw error;
  });
}

async function findJournal(
  { journal, spread }: foldCheckpoint.Options,
  { checkpoint, plan }: FoldWork,
  { text, moments }: MomentSource,
  { signal }: JobContext,
): Promise<FolderJournal | undefined> {
  if (journal === undefined) return undefined;
  const windows = text?.windows;
  const version = readVersion();
  const { shard } = spread ?? {};
  return openJournal({ folder: journal, checkpoint, plan, windows, moments, shard, version, signal });
}

async function findMoments(
  { calibration, moments, saveMoments }: foldCheckpoint.Options,
  { model, checkpoint, plan }: FoldWork,
  { signal, onNotice }: JobContext,
): Promise<MomentSource> {
  if (moments !== undefined && plan.taps.length === 0)
    onNotice(`moments ${moments} is not used: method ${plan.method} measures nothing`);
  const reused =
    moments === undefined ? {} : { moments: await readMoments(moments, checkpoint.config, plan) };
  const measures = plan.taps.length > 0 && moments === undefined;
  if (saveMoments !== undefined && !measures) {
    throw new CliError("usage", `saveMoments: method ${plan.method} measures nothing; leave it out`, {
      option: "saveMoments",
    });
  }
  const runs = measures || plan.heal !== "none" || findBudget(plan.budget).needsText;
  const fits = roundsToFourBits(plan) && calibration !== undefined;
  if (!runs && !fits) {
    if (calibration !== undefined)
      onNotice(
        "calibration is not used: nothing is measured, healed or rounded to four bits, and the budget needs no text",
      );
    return reused;
  }
  if (calibration === undefined) throw calibrationMissing(plan, measures);
  return { ...reused, text: await readModelText(calibration, { model, checkpoint }, signal) };
}
