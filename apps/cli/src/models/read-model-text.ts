import type { Checkpoint } from "@kvfold/decoder";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";
import {
  type CalibrationOptions,
  type CalibrationText,
  describeText,
  readCalibrationText,
} from "../tokens/calibration-windows.js";
import { checkWindow } from "../tokens/check-window.js";
import type { FoundModel } from "./find-model.js";
import { checkpointVocabulary } from "./open-checkpoint-folder.js";

/** Reads the text that a model is to run on. */
export async function readModelText(
  calibration: CalibrationOptions,
  { model, checkpoint }: { readonly model: FoundModel; readonly checkpoint: Checkpoint },
  signal: JobContext["signal"],
): Promise<CalibrationText> {
  const vocabulary = await checkpointVocabulary(model.path, checkpoint);
  const { maxPositions } = checkpoint.config.shape;
  checkWindow(calibration.window, maxPositions, model.name);
  const text = await readCalibrationText(calibration, vocabulary, { maxPositions, signal });
  requireSameText(text, calibration);
  return text;
}

/** A recipe knows the text that it was made with by its tokens. */
function requireSameText(text: CalibrationText, { sha256 }: CalibrationOptions): void {
  if (sha256 === undefined || describeText(text).sha256 === sha256) return;
  throw new CliError(
    "usage",
    `calibration: the first ${text.windows.length} windows of ${text.files.join(", ")} are not those of the recipe; name the same text, and the same model`,
    { option: "calibration" },
  );
}
