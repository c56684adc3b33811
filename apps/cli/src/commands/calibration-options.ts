import type { Command } from "commander";
import type { CalibrationOptions } from "../tokens/calibration-windows.js";
import { tokenFile } from "../tokens/read-tokens.js";
import { wholeNumber } from "./options.js";

/** Options of commands that measure activations on text. */
export interface CalibrationFlags {
  readonly calibration?: readonly string[];
  readonly windows?: number;
  readonly window?: number;
}

/** Adds the options that say which text to measure on, and how much of it. */
export const addCalibrationOptions = (command: Command): Command =>
  command
    .option("--calibration <files...>", "text to measure on: UTF-8, or raw uint16 token ids in a .u16 file")
    .option(
      "--windows <count>",
      "windows of that text to use (default: 128, or all there are)",
      wholeNumber(1),
    )
    .option(
      "--window <tokens>",
      "tokens of a window (default: 1024, or the model's context)",
      wholeNumber(2),
    );

/** The options as a job wants them; nothing where no text was named. */
export function calibrationOf({
  calibration,
  windows,
  window,
}: CalibrationFlags): CalibrationOptions | undefined {
  return calibration && { files: calibration.map(tokenFile), windows, window };
}
