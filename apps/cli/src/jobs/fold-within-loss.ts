import { amendRecord } from "@kvfold/converter/node";
import { throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { foldChoices } from "../goals/candidates.js";
import type { Comparison, LossReport, TriedShare } from "../goals/goal.js";
import { nextShare } from "../goals/loss-curve.js";
import { formatRise } from "../render/format.js";
import type { CalibrationText } from "../tokens/calibration-windows.js";
import { chooseFold, type Entrant, entrantAt } from "./choose-fold.js";
import type { JobContext } from "./job.js";
import { type Candidate, expectation, keepOf, measureCurves } from "./measure-curves.js";
import {
  foldAndMeasure,
  type HeldText,
  holdBack,
  type MeasuredFold,
  type ModelWork,
} from "./measured-fold.js";
import type { WrittenOutput } from "./write-output.js";

export declare namespace foldWithinLoss {
  interface Options extends Omit<chooseFold.Options, "work" | "text"> {
    readonly maxLoss: number;
    /** Whether measured moments are wanted. */
    readonly saveMoments?: string | undefined;
  }
  interface Result extends WrittenOutput {
    readonly report: LossReport;
  }
}

/** Folds of the whole text at most; the estimate seldom misses twice. */
const MOST_FOLDS = 4;

/**
 * Folds to the smallest share of the cache with which perplexity rises by no more than `maxLoss` on windows of the text that
 * the fold does not see. Method and budget are chosen by short folds, unless they are given. The share is estimated by the
 * energies that latents lose, and the fold is measured; where the estimate missed, the next one goes by what was measured.
 *
 * @throws {CliError} `insufficient-text` for a text too short to hold windows back; `usage` where no share loses so little.
 */
export async function foldWithinLoss(
  options: foldWithinLoss.Options,
  work: ModelWork,
  whole: CalibrationText,
  context: JobContext,
): Promise<foldWithinLoss.Result> {
  const { maxLoss } = options;
  const choices = foldChoices(work.checkpoint.config, options);
  const text = await holdBack(whole, work, context);
  const curves = await measureCurves(work, text.fit, context);
  const candidates = choices.map((choice) => expectation(choice, curves, { work, options }));
  const share = firstShare(candidates, maxLoss);
  if (share === undefined) throw notMet([], maxLoss);
  const entrants = candidates.map((candidate) => entrantAt(candidate, share));
  const { chosen, comparison } = await chooseFold(entrants, { ...options, work, text }, context);
  const compared = choices.length > 1 ? comparison : undefined;
  return searchShare(chosen, { options, work, text, compared }, context);
}

/** The smallest share that any way to fold is expected to do with. */
function firstShare(candidates: readonly Candidate[], maxLoss: number): number | undefined {
  const shares = candidates.map(({ curve, law }) => nextShare(curve, { law, tried: [], maxLoss }));
  return shares.filter((share) => share !== undefined).toSorted((a, b) => a - b)[0];
}

interface Search {
  readonly options: foldWithinLoss.Options;
  readonly work: ModelWork;
  readonly text: HeldText;
  readonly compared: Comparison | undefined;
}

/** A fold of the whole text, and its share. */
interface TriedFold extends MeasuredFold {
  readonly share: number;
}

/** Folds with the chosen method and budget until the share is found. */
async function searchShare(
  chosen: Entrant,
  search: Search,
  context: JobContext,
): Promise<foldWithinLoss.Result> {
  const { options, work, text } = search;
  const { maxLoss } = options;
  const { curve, law, choice } = chosen;
  const folds: TriedFold[] = [];
  try {
    for (;;) {
      const tried = folds.map(({ share, loss }) => ({ share, loss }));
      const share = folds.length < MOST_FOLDS ? nextShare(curve, { law, tried, maxLoss }) : undefined;
      if (share === undefined) break;
      const request = { ...options, ...choice, keep: keepOf(share) };
      const { measured = [] } = folds.at(-1) ?? {};
      const fold = await foldAndMeasure({ ...options, work, text, request, measured }, context);
      folds.push({ ...fold, share });
      await discardWorse(folds, maxLoss);
      context.onNotice(describeTried(fold, maxLoss));
    }
    const best = bestOf(folds, maxLoss);
    if (best === undefined) throw notMet(folds, maxLoss);
    const report = reportOf(best, folds, search);
    await amendRecord(best.folder.path, { details: { goal: report } });
    throwIfAborted(context.signal);
    await best.folder.commit();
    const { plan, measured } = best;
    return { plan, measured: options.saveMoments === undefined ? [] : measured, report };
  } finally {
    await Promise.allSettled(folds.map(({ folder }) => folder.discard()));
  }
}

/** The smallest of those that lose little enough. */
const bestOf = (folds: readonly TriedFold[], maxLoss: number): TriedFold | undefined =>
  folds.filter(({ loss }) => loss <= maxLoss).toSorted((a, b) => a.share - b.share)[0];

/** Two folds of a large model may not fit on a disk. */
async function discardWorse(folds: readonly TriedFold[], maxLoss: number): Promise<void> {
  const best = bestOf(folds, maxLoss);
  for (const fold of folds) if (fold !== best) await fold.folder.discard();
}

const describeTried = ({ keep, loss }: TriedShare, maxLoss: number): string =>
  `keep ${keep}: perplexity rose by ${formatRise(loss)} on held-out windows; at most ${formatRise(maxLoss)} was asked for`;

function notMet(folds: readonly TriedShare[], maxLoss: number): CliError {
  const tried = folds.map(({ keep, loss }) => `keep ${keep} lost ${formatRise(loss)}`).join(", ");
  return new CliError(
    "usage",
    `--max-loss ${formatRise(maxLoss)}: no fold kept within it (${tried || "no share could be tried"}); allow more, or give more calibration text`,
  );
}

const reportOf = (
  { loss }: TriedFold,
  folds: readonly TriedFold[],
  { options: { maxLoss }, text: { heldOut }, compared }: Search,
): LossReport => ({
  maxLoss,
  loss,
  heldOut: { windows: heldOut.length, window: heldOut[0]!.length },
  tried: folds.map((fold) => ({ keep: fold.keep, loss: fold.loss })),
  ...(compared === undefined ? {} : { compared }),
});
