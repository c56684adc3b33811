import type { ModelConfig } from "@kvfold/decoder";
import type { AbortSignalLike } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { invalidOption, MOST_HELD_OUT, tuneWindows } from "../tune/tune-settings.js";
import { readPredictedText, type TextSource } from "./calibration-text.js";

/** Windows to learn from, windows to stop by, and for `kvfold.json` what they are. */
export interface TuningText {
  readonly windows: readonly Int32Array[];
  readonly heldOut: readonly Int32Array[];
  readonly summary: Readonly<Record<string, unknown>>;
}

export declare namespace readTuningText {
  /** The options of `tune` that text depends on. */
  interface Options extends tuneWindows.Options {
    readonly original: string;
    readonly text?: TextSource | readonly TextSource[] | undefined;
    readonly windowLength?: number | undefined;
    readonly windows?: readonly Int32Array[] | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Reads the text of a tuning, or takes the windows that are given, and holds the last of them out.
 *
 * @throws {ConverterError} `invalid-option`; `insufficient-data` when there is no text, or all of it is held out.
 */
export async function readTuningText(
  options: readTuningText.Options,
  config: ModelConfig,
): Promise<TuningText> {
  const { windows, summary } = await readWindows(options, config);
  const heldOut = options.heldOut ?? Math.min(MOST_HELD_OUT, Math.floor(windows.length / 10));
  if (!Number.isInteger(heldOut) || heldOut < 0)
    throw invalidOption("heldOut", heldOut, "a whole number of windows");
  const learned = windows.length - heldOut;
  if (learned < 1)
    throw new ConverterError(
      "insufficient-data",
      `text: it has ${windows.length} windows, of which ${heldOut} are held out, so none is left to learn from; give more text or shorter windows`,
      { option: "text" },
    );
  return { windows: windows.slice(0, learned), heldOut: windows.slice(learned), summary };
}

async function readWindows(
  options: readTuningText.Options,
  config: ModelConfig,
): Promise<Omit<TuningText, "heldOut">> {
  const { original, text, windowLength, windows, signal } = options;
  if (windows !== undefined) return givenWindows(windows);
  if (text === undefined)
    throw new ConverterError(
      "insufficient-data",
      "text is missing: give what the model is for, 1 MB or more",
      {
        option: "text",
      },
    );
  const sources = [text].flat();
  const mostWindows = tuneWindows(options);
  return readPredictedText({ folder: original, config, sources, windowLength, mostWindows, signal });
}

function givenWindows(windows: readonly Int32Array[]): Omit<TuningText, "heldOut"> {
  const [first] = windows;
  if (first === undefined || first.length < 2 || windows.some(({ length }) => length !== first.length))
    throw invalidOption(
      "windows",
      `${windows.length} windows`,
      "windows of one length, of two tokens or more",
    );
  return { windows, summary: { windows: windows.length, window: first.length - 1 } };
}
