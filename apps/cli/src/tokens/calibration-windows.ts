import { basename } from "node:path";
import { tokenWindows } from "@kvfold/calibration";
import type { AbortSignalLike } from "@kvfold/runtime";
import { readTokens, type TokenFile, type Vocabulary } from "./read-tokens.js";

/** Windows to calibrate on, unless told otherwise: more change the figures in the third digit. */
const DEFAULT_WINDOWS = 128;
/** Tokens of a window, unless told otherwise or the model's context is shorter. */
const DEFAULT_WINDOW = 1024;

/** Token windows to calibrate on, and where they come from. */
export interface CalibrationText {
  readonly files: readonly string[];
  readonly windows: readonly Int32Array[];
  /** Tokens of a window. */
  readonly window: number;
}

/** How much of which text; what is left out has defaults. */
export interface CalibrationOptions {
  readonly files: readonly TokenFile[];
  readonly windows?: number | undefined;
  readonly window?: number | undefined;
}

/**
 * Cuts text into windows of `window + 1` tokens and drops the last of each: the same cut as for measuring
 * perplexity, where the last token is only predicted.
 *
 * @throws {CalibrationError} `too-few-tokens` when there is not even one window, or not the number asked for.
 */
export async function readCalibrationText(
  { files, windows, window: wanted = DEFAULT_WINDOW }: CalibrationOptions,
  vocabulary: Vocabulary,
  { maxPositions, signal }: { readonly maxPositions: number; readonly signal: AbortSignalLike },
): Promise<CalibrationText> {
  const window = Math.min(wanted, maxPositions);
  const length = window + 1;
  const limit = (windows ?? DEFAULT_WINDOWS) * length;
  const tokens = await readTokens({ files, vocabulary, limit, signal });
  const available = Math.min(DEFAULT_WINDOWS, Math.floor(tokens.length / length));
  const cut = tokenWindows(tokens, {
    length,
    count: windows ?? available,
    source: files.map(({ path }) => path).join(", "),
  });
  return { files: files.map(({ path }) => path), windows: cut.map((ids) => ids.subarray(0, window)), window };
}

/** What a text was, for records of what was measured on it: file names, and how much of them. */
export interface CalibrationSummary {
  readonly files: readonly string[];
  readonly windows: number;
  readonly window: number;
  readonly tokens: number;
}

export const describeText = ({ files, windows, window }: CalibrationText): CalibrationSummary => ({
  files: files.map((file) => basename(file)),
  windows: windows.length,
  window,
  tokens: windows.length * window,
});
