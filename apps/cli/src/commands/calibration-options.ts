import type { Command } from "commander";
import { CliError } from "../cli-error.js";
import type { CalibrationOptions } from "../tokens/calibration-windows.js";
import { tokenFile } from "../tokens/read-tokens.js";
import { wholeNumber } from "./options.js";

/** Options of commands that measure activations on text. */
export interface CalibrationFlags {
  readonly calibration?: readonly string[];
  readonly windows?: number;
  readonly window?: number;
  readonly bos?: boolean;
}

/** Adds the options that say which text to measure on, and how much of it. */
export const addCalibrationOptions = (command: Command): Command =>
  command
    .option("--calibration <files...>", "text to measure on: UTF-8, or raw token ids in a .u16 or .u32 file")
    .option(
      "--windows <count>",
      "windows of that text to use (default: 128, or as many as there are)",
      wholeNumber(1),
    )
    .option("--window <tokens>", "tokens of a window (default: 1024, or the model's context)", wholeNumber(2))
    .option(
      "--bos",
      "begin every window with BOS (default: for text, where the tokenizer begins texts with it)",
    )
    .option("--no-bos", "begin only documents with BOS");

/**
 * The options as a job wants them; nothing where no text was named.
 *
 * @throws {CliError} `usage` for options that would do nothing without text.
 */
export function calibrationOf(flags: CalibrationFlags): CalibrationOptions | undefined {
  const { calibration, windows, window, bos } = flags;
  if (calibration !== undefined)
    return { files: calibration.map(tokenFile), windows, window, bos: bosOf(bos) };
  const unused = unusedOption(flags);
  if (unused === undefined) return undefined;
  throw new CliError("usage", `${unused} is about calibration text: add --calibration FILE`);
}

function bosOf(bos: boolean | undefined): CalibrationOptions["bos"] {
  if (bos === undefined) return undefined;
  return bos ? "windows" : "documents";
}

function unusedOption({ windows, window, bos }: CalibrationFlags): string | undefined {
  if (windows !== undefined) return "--windows";
  if (window !== undefined) return "--window";
  if (bos !== undefined) return bos ? "--bos" : "--no-bos";
  return undefined;
}
