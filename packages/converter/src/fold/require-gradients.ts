import type { StageMoments } from "@kvfold/calibration";
import { ConverterError } from "../converter-error.js";
import { isGradientTap } from "../graph/taps.js";
import type { FoldOptions } from "./fold-options.js";

/** What was measured of a layer before the fold. */
export const knownMoments = (
  { moments, gradients, attention }: Pick<FoldOptions, "moments" | "gradients" | "attention">,
  layer: number,
): StageMoments => ({ ...attention?.[layer], ...moments?.[layer], ...gradients?.[layer] });

/**
 * Gradients come from a pass through the whole model; folds and budgets go through it in another way.
 *
 * @throws {ConverterError} `insufficient-data` when a plan needs some that are not there.
 */
export function requireGradients(options: Pick<FoldOptions, "plan" | "moments" | "gradients">): void {
  const known = knownMoments(options, 0);
  const missing = options.plan.taps.find((tap) => isGradientTap(tap) && known[tap] === undefined);
  if (missing === undefined) return;
  throw new ConverterError(
    "insufficient-data",
    `metric loss needs moments of ${missing}, and there are none; measure them with lossMoments and give them as gradients, or beside the others in moments`,
    { option: "gradients" },
  );
}
