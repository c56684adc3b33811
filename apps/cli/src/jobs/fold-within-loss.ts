import type { StageMoments } from "@kvfold/calibration";
import { type FoldPlan, findMethod, type planFold as plan, planFold } from "@kvfold/converter";
import { amendRecord, createPendingFolder, type PendingFolder } from "@kvfold/converter/node";
import { meanOfSums, sumPositions, throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { sayInstead } from "../files/say-instead.js";
import type { Existing } from "../files/whole-file.js";
import type { LossReport, TriedShare } from "../goals/goal.js";
import { APART_LAW, type CurvePoint, JOINT_LAW, nextShare } from "../goals/loss-curve.js";
import type { FoundModel } from "../models/find-model.js";
import { toRun } from "../models/locate-weights.js";
import type { CalibrationText } from "../tokens/calibration-windows.js";
import type { JobContext } from "./job.js";
import { measureEnergy } from "./measure-energy.js";
import { measureModels } from "./measure-models.js";
import { collectMoments, type FoldWork, type WrittenOutput, writeFolded } from "./write-output.js";

export declare namespace foldWithinLoss {
  interface Options extends Omit<plan.Options, "keep"> {
    readonly maxLoss: number;
    readonly output: string;
    readonly existing: Existing;
    /** Whether measured moments are wanted. */
    readonly saveMoments?: string | undefined;
  }
  interface Result extends WrittenOutput {
    readonly report: LossReport;
  }
}

type Work = Omit<FoldWork, "plan" | "request">;

/** Shares that are tried: of sixteenths. */
const STEPS = 16;
/** Folds at most; the estimate seldom misses twice. */
const MOST_FOLDS = 4;

/**
 * Folds to the smallest share of the cache with which perplexity rises by no more than `maxLoss` on windows of the text that
 * the fold does not see. The share is estimated by the energies that latents lose, and the fold is measured; where the
 * estimate missed, the next one goes by what was measured.
 *
 * @throws {CliError} `insufficient-text` for a text too short to hold windows back; `usage` where no share loses so little.
 */
export async function foldWithinLoss(
  options: foldWithinLoss.Options,
  work: Work,
  text: CalibrationText,
  context: JobContext,
): Promise<foldWithinLoss.Result> {
  const { maxLoss } = options;
  const { fit, heldOut } = holdBack(text);
  const method = findMethod(planAt(options, work, 1 / 2).method);
  const law = method.joint === undefined ? APART_LAW : JOINT_LAW;
  const curve = await measureCurve(work, fit, law === JOINT_LAW ? "joint" : "apart", context);
  const original = await meanLoss(work, toRun(work.model), heldOut, context);
  const candidates: Candidate[] = [];
  let measured: readonly StageMoments[] = [];
  try {
    for (;;) {
      const tried = candidates.map(({ share, loss }) => ({ share, loss }));
      const share = candidates.length < MOST_FOLDS ? nextShare(curve, { law, tried, maxLoss }) : undefined;
      if (share === undefined) break;
      const candidate = await foldTo(share, { options, work, fit, measured, heldOut, original }, context);
      measured = candidate.measured;
      candidates.push(candidate);
      await discardWorse(candidates, maxLoss);
      context.onNotice(describeTried(candidate, maxLoss));
    }
    const best = bestOf(candidates, maxLoss);
    if (best === undefined) throw notMet(candidates, maxLoss);
    const report = reportOf(best, candidates, { maxLoss, heldOut });
    await amendRecord(best.folder.path, { details: { goal: report } });
    throwIfAborted(context.signal);
    await best.folder.commit();
    return { plan: best.plan, measured: options.saveMoments === undefined ? [] : measured, report };
  } finally {
    await Promise.allSettled(candidates.map(({ folder }) => folder.discard()));
  }
}

/** A fold that is written and measured, and not yet in its place. */
interface Candidate extends TriedShare, WrittenOutput {
  readonly share: number;
  readonly folder: PendingFolder;
}

/** Share of the windows that the fold does not see. */
const HELD_SHARE = 1 / 8;
const MOST_HELD = 16;
/** Windows that are fitted to, at least. */
const LEAST_FITTED = 2;

/** The last windows of a text are held back. */
function holdBack(text: CalibrationText) {
  const { windows } = text;
  const count = Math.min(MOST_HELD, Math.max(1, Math.round(windows.length * HELD_SHARE)));
  const fitted = windows.length - count;
  if (fitted < LEAST_FITTED)
    throw new CliError(
      "insufficient-text",
      `--max-loss holds windows of the calibration text back to measure on, and ${windows.length} are too few; give a longer text, or a shorter --window`,
    );
  return { fit: { ...text, windows: windows.slice(0, fitted) }, heldOut: windows.slice(fitted) };
}

const keepOf = (share: number): string => `${Math.round(share * STEPS)}/${STEPS}`;

const planAt = (options: foldWithinLoss.Options, { checkpoint }: Work, share: number): FoldPlan =>
  planFold(checkpoint.config, { ...options, keep: keepOf(share) });

/** Windows whose energies are measured: they change the estimate in the second digit. */
const ENERGY_WINDOWS = 8;

/** The energy that latents of all shares lose, over all layers. */
async function measureCurve(
  { checkpoint }: Work,
  { windows }: CalibrationText,
  kind: "joint" | "apart",
  context: JobContext,
): Promise<readonly CurvePoint[]> {
  const shares = Array.from({ length: STEPS - 1 }, (_, index) => (index + 1) / STEPS);
  const { layers } = await measureEnergy(checkpoint, windows.slice(0, ENERGY_WINDOWS), context, shares);
  return shares.map((share, index) => {
    const lost = layers.reduce((sum, layer) => sum + layer.lost[kind][index]!, 0);
    return { share, energy: lost / layers.length };
  });
}

interface Attempt {
  readonly options: foldWithinLoss.Options;
  readonly work: Work;
  readonly fit: CalibrationText;
  /** Of an earlier attempt: moments are those of the original, whatever the share. */
  readonly measured: readonly StageMoments[];
  readonly heldOut: readonly Int32Array[];
  /** Nats a token of the original. */
  readonly original: number;
}

async function foldTo(share: number, attempt: Attempt, context: JobContext): Promise<Candidate> {
  const { options, work, fit, measured, heldOut, original } = attempt;
  const { output, existing } = options;
  const plan = planAt(options, work, share);
  const { keep } = plan;
  const folder = await createPendingFolder(output, { existing });
  context.onTemporary(folder.path);
  try {
    const collected = collectMoments();
    const isFirst = measured.length === 0;
    const written = await sayInstead([[folder.path, output]], async () => {
      const known = isFirst ? { onMoments: collected.onMoments } : { moments: measured };
      const source = { text: fit, journal: undefined, to: folder.path, ...known };
      return writeFolded({ ...work, plan, request: { ...options, keep } }, source, context);
    });
    const model = { name: `keep ${keep}`, path: folder.path, title: output };
    const loss = Math.expm1((await meanLoss(work, model, heldOut, context)) - original);
    return {
      share,
      keep,
      loss,
      folder,
      plan: written,
      measured: isFirst ? collected.measured : measured,
    };
  } catch (error) {
    await folder.discard();
    throw error;
  }
}

/** Nats a token on the windows. */
async function meanLoss(
  { opened, checkpoint }: Work,
  model: FoundModel,
  windows: readonly Int32Array[],
  context: JobContext,
): Promise<number> {
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
  return meanOfSums(models[0]!.runs[0]!.losses.map((losses) => sumPositions(losses)));
}

/** The smallest of those that lose little enough. */
const bestOf = (candidates: readonly Candidate[], maxLoss: number): Candidate | undefined =>
  candidates.filter(({ loss }) => loss <= maxLoss).toSorted((a, b) => a.share - b.share)[0];

/** Two folds of a large model may not fit on a disk. */
async function discardWorse(candidates: readonly Candidate[], maxLoss: number): Promise<void> {
  const best = bestOf(candidates, maxLoss);
  for (const candidate of candidates) if (candidate !== best) await candidate.folder.discard();
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const describeTried = ({ keep, loss }: Candidate, maxLoss: number): string =>
  `keep ${keep}: perplexity rose by ${percent(loss)} on held-out windows; at most ${percent(maxLoss)} was asked for`;

function notMet(candidates: readonly Candidate[], maxLoss: number): CliError {
  const tried = candidates.map(({ keep, loss }) => `keep ${keep} lost ${percent(loss)}`).join(", ");
  return new CliError(
    "usage",
    `--max-loss ${percent(maxLoss)}: no fold kept within it (${tried || "no share could be tried"}); allow more, or give more calibration text`,
  );
}

const reportOf = (
  { loss }: Candidate,
  candidates: readonly Candidate[],
  { maxLoss, heldOut }: { readonly maxLoss: number; readonly heldOut: readonly Int32Array[] },
): LossReport => ({
  maxLoss,
  loss,
  heldOut: { windows: heldOut.length, window: heldOut[0]!.length },
  tried: candidates.map((candidate) => ({ keep: candidate.keep, loss: candidate.loss })),
});
