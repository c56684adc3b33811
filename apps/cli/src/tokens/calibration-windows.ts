import { basename } from "node:path";
import { tokenWindows } from "@kvfold/calibration";
import { hashWindows } from "@kvfold/converter/node";
import type { AbortSignalLike } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { readTokens, type TokenFile } from "./read-tokens.js";
import type { Vocabulary } from "./vocabulary.js";

/** Windows to calibrate on, unless told otherwise: more change the figures in the third digit. */
const DEFAULT_WINDOWS = 128;
/** Tokens of a window, unless told otherwise or the model's context is shorter. */
export const DEFAULT_WINDOW = 1024;

/** Token windows to calibrate on, and where they come from. */
export interface CalibrationText {
  readonly files: readonly string[];
  readonly windows: readonly Int32Array[];
  /** Tokens of a window. */
  readonly window: number;
  /** The token that every window begins with; `undefined` where only documents begin with one. */
  readonly bosToken: number | undefined;
}

/** How much of which text; what is left out has defaults. */
export interface CalibrationOptions {
  readonly files: readonly TokenFile[];
  readonly windows?: number | undefined;
  readonly window?: number | undefined;
  /**
   * What begins with BOS. Unless told otherwise every window of text does where the model's tokenizer begins texts with it, and
   * files of token ids are left as they are.
   */
  readonly bos?: "windows" | "documents" | undefined;
  /** Of the tokens that these windows are to have. */
  readonly sha256?: string | undefined;
}

/**
 * Cuts text into windows of `window + 1` tokens and drops the last of each: the same cut as for measuring
 * perplexity, where the last token is only predicted.
 *
 * @throws {CalibrationError} `too-few-tokens` when there is not even one window, or not the number asked for.
 * @throws {CliError} `unsupported-model` when windows are to begin with BOS and the model has none.
 */
export async function readCalibrationText(
  options: CalibrationOptions,
  vocabulary: Vocabulary,
  limits: TextLimits,
): Promise<CalibrationText> {
  const text = await readPredictedText(options, vocabulary, limits);
  return { ...text, windows: text.windows.map((ids) => ids.subarray(0, text.window)) };
}

/** What bounds the windows of a text. */
export interface TextLimits {
  readonly maxPositions: number;
  /** Windows to read where no number of them is asked for. */
  readonly mostWindows?: number;
  readonly signal: AbortSignalLike;
}

/** The same windows with the token that is only predicted. */
export async function readPredictedText(
  { files, windows, window: wanted = DEFAULT_WINDOW, bos }: CalibrationOptions,
  vocabulary: Vocabulary,
  { maxPositions, mostWindows = DEFAULT_WINDOWS, signal }: TextLimits,
): Promise<CalibrationText> {
  const window = Math.min(wanted, maxPositions);
  const length = window + 1;
  const count = windows ?? mostWindows;
  const bosToken = await findWindowBos(files, bos, vocabulary);
  const tokens = await readTokens({ files, vocabulary, limit: count * length, signal });
  const source = files.map(({ path }) => path).join(", ");
  const cut = tokenWindows(tokens, { length, bosToken, source, ...(windows !== undefined && { count }) });
  return {
    files: files.map(({ path }) => path),
    windows: cut.slice(0, count),
    window,
    bosToken,
  };
}

/** The token that windows begin with, if any do. */
async function findWindowBos(
  files: readonly TokenFile[],
  bos: CalibrationOptions["bos"],
  vocabulary: Vocabulary,
): Promise<number | undefined> {
  if (bos === "documents") return undefined;
  const isText = files.every(({ format }) => format === "text");
  const addedBos = isText ? (await vocabulary.loadTokenizer()).addedBos : undefined;
  const { bosToken = Number.POSITIVE_INFINITY, vocabSize } = vocabulary;
  if (bos === undefined || addedBos !== undefined) return addedBos;
  if (bosToken < vocabSize) return bosToken;
  throw new CliError(
    "unsupported-model",
    "--bos: neither the tokenizer nor bos_token_id of config.json names a token of the vocabulary that begins texts; leave it out",
  );
}

/** What a text was, for records of what was measured on it: file names, and how much of them. */
export interface CalibrationSummary {
  readonly files: readonly string[];
  readonly windows: number;
  readonly window: number;
  readonly tokens: number;
  /** The token that every window begins with, if one does. */
  readonly bosToken: number | null;
  /** Of all tokens, in hexadecimal digits: tells whether a text is the same. */
  readonly sha256: string;
}

export const describeText = ({ files, windows, window, bosToken }: CalibrationText): CalibrationSummary => ({
  files: files.map((file) => basename(file)),
  windows: windows.length,
  window,
  tokens: windows.length * window,
  bosToken: bosToken ?? null,
  sha256: hashWindows(windows),
});

/** The same with all values as strings, which is all that the metadata of a file can hold. */
export const describeAsText = (text: CalibrationText): Record<string, string> =>
  Object.fromEntries(Object.entries(describeText(text)).map(([key, value]) => [key, String(value)]));
