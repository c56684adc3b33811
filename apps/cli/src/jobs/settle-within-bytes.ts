import { type planFold as plan, planFold } from "@kvfold/converter";
import type { FoldChoice } from "../goals/candidates.js";
import type { BytesReport } from "../goals/goal.js";
import { choicesWithinBytes, type SettledChoice } from "../goals/within-bytes.js";
import { readModelText } from "../models/read-model-text.js";
import type { CalibrationOptions } from "../tokens/calibration-windows.js";
import { chooseFold, entrantAt } from "./choose-fold.js";
import type { JobContext } from "./job.js";
import { expectation, measureCurves } from "./measure-curves.js";
import { canHoldBack, holdBack, type ModelWork } from "./measured-fold.js";
import type { Spread } from "./open-spread.js";

/** What a goal came to, and how where it was measured. */
export interface SettledFold {
  readonly choice: FoldChoice & Pick<plan.Options, "keep">;
  readonly report?: BytesReport;
}

export declare namespace settleWithinBytes {
  interface Options extends Omit<chooseFold.Options, "work" | "text"> {
    readonly maxBytes: number;
    readonly calibration?: CalibrationOptions | undefined;
    readonly moments?: string | undefined;
    readonly journal?: string | undefined;
    /** Where several processes fold together, which must all choose alike. */
    readonly spread?: Spread | undefined;
  }
}

/**
 * The largest share of the cache that takes no more than so many bytes a token, and the method and budget that lose least there:
 * by short folds where there is text to measure on, else those that are preferred.
 *
 * @throws {ConverterError} as `shareWithinBytes`.
 */
export async function settleWithinBytes(
  options: settleWithinBytes.Options,
  work: ModelWork,
  context: JobContext,
): Promise<SettledFold> {
  const { maxBytes, calibration } = options;
  const choices = choicesWithinBytes(work.checkpoint.config, options, maxBytes);
  if (choices.length > 1 && calibration !== undefined && canCompare(options))
    return (await compare(choices, { ...options, calibration }, work, context)) ?? { choice: choices[0]! };
  return { choice: choices[0]! };
}

/** Not with moments of another text, nor where other runs or processes have to come to the same. */
const canCompare = ({ moments, journal, spread }: settleWithinBytes.Options): boolean =>
  moments === undefined && journal === undefined && spread === undefined;

/** Nothing for a text of which no windows can be held back. */
async function compare(
  choices: readonly SettledChoice[],
  options: settleWithinBytes.Options & { readonly calibration: CalibrationOptions },
  work: ModelWork,
  context: JobContext,
): Promise<SettledFold | undefined> {
  const whole = await readModelText(options.calibration, work, context.signal);
  if (!canHoldBack(whole)) return undefined;
  const text = await holdBack(whole, work, context);
  const curves = await measureCurves(work, text.fit, context);
  const entrants = choices.map(({ keep, ...choice }) => {
    const { achieved } = planFold(work.checkpoint.config, { ...options, ...choice, keep });
    return entrantAt(expectation(choice, curves, { work, options }), achieved, keep);
  });
  const { chosen, comparison } = await chooseFold(entrants, { ...options, work, text }, context);
  const report = { maxBytes: options.maxBytes, compared: comparison };
  return { choice: { ...chosen.choice, keep: chosen.keep }, report };
}
