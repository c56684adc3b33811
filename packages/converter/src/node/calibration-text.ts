import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { checkTokens, tokenizeDocument, tokenWindows } from "@kvfold/calibration";
import type { ModelConfig } from "@kvfold/decoder";
import { readUtf8 } from "@kvfold/decoder/node";
import { type AbortSignalLike, type TextTokenizer, throwIfAborted } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { readTokenizer } from "./read-tokenizer.js";

/** Text to calibrate on: a UTF-8 file by its path or URL, or the text itself. */
export type TextSource = string | URL | { readonly content: string };

/** More windows change the figures in the third digit. */
const DEFAULT_WINDOWS = 128;
export const DEFAULT_WINDOW_LENGTH = 1024;
/** A longer text fits no JavaScript string, and no calibration needs a hundredth of it. */
const MAX_FILE_BYTES = 400 * 2 ** 20;

export declare namespace readCalibrationText {
  interface Options {
    /** The checkpoint's folder, which has the tokenizer. */
    readonly folder: string;
    readonly config: ModelConfig;
    readonly sources: readonly TextSource[];
    /** Windows wanted; as many as there are without it, at most 128. */
    readonly windowCount?: number | undefined;
    /** Tokens of a window; 1024 or the model's context without it. */
    readonly windowLength?: number | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/** Token windows, and what they were made of. */
export interface CalibrationText {
  readonly windows: readonly Int32Array[];
  /** For `kvfold.json`: names of files and how much of them was read. */
  readonly summary: Readonly<Record<string, unknown>>;
}

/**
 * Reads text as token windows of one length. The cut is that of measuring perplexity, where the last token of a window of
 * one more is only predicted. Windows begin with the token that the tokenizer begins texts with, if it does.
 *
 * @throws {ConverterError} `invalid-option` when a file does not exist or is too large.
 * @throws {CalibrationError} `too-few-tokens` when there is not even one window, or not the number asked for;
 * `malformed-tokens` for tokens that the model does not have.
 */
export async function readCalibrationText(options: readCalibrationText.Options): Promise<CalibrationText> {
  const { windows, summary } = await readPredictedText(options);
  return { windows: windows.map((ids) => ids.subarray(0, -1)), summary };
}

/**
 * The same windows with one token more, which is only predicted: the summary counts the others. There may be at most
 * `mostWindows` where no number of them is asked for.
 */
export async function readPredictedText({
  mostWindows = DEFAULT_WINDOWS,
  ...options
}: readCalibrationText.Options & { readonly mostWindows?: number }): Promise<CalibrationText> {
  const { folder, config, sources, windowCount } = options;
  const window = Math.min(options.windowLength ?? DEFAULT_WINDOW_LENGTH, config.shape.maxPositions);
  const length = window + 1;
  const count = windowCount ?? mostWindows;
  const tokenizer = await readTokenizer(folder);
  const tokens = await readTokens(options, tokenizer, count * length);
  const source = sources.map(nameOf).join(", ");
  const bosToken = tokenizer.addedBos;
  const cut = tokenWindows(tokens, {
    length,
    bosToken,
    source,
    ...(windowCount !== undefined && { count: windowCount }),
  });
  const windows = cut.slice(0, count);
  const used = { windows: windows.length, window, tokens: windows.length * window };
  return { windows, summary: { files: sources.map(nameOf), ...used, bosToken: bosToken ?? null } };
}

/** The first `limit` tokens of all sources, one document after the other. */
async function readTokens(
  { config, sources, signal }: readCalibrationText.Options,
  tokenizer: TextTokenizer,
  limit: number,
): Promise<Int32Array> {
  const { vocabSize } = config.shape;
  const bos = tokenizer.addedBos ?? configuredBos(config);
  const tokens: number[] = [];
  for (const source of sources) {
    for (const piece of tokenizeDocument(await readSource(source), tokenizer, bos)) {
      throwIfAborted(signal);
      checkTokens(piece, { vocabSize, source: nameOf(source), nameOf: tokenizer.nameOf });
      for (const token of piece) tokens.push(token);
      if (tokens.length >= limit) return Int32Array.from(tokens.slice(0, limit));
    }
  }
  return Int32Array.from(tokens);
}

/** The token that begins documents where the tokenizer adds none. */
const configuredBos = ({ fields: { bos_token_id: bos } }: ModelConfig): number | undefined =>
  typeof bos === "number" ? bos : undefined;

async function readSource(source: TextSource): Promise<string> {
  if (isContent(source)) return source.content;
  const path = pathOf(source);
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile())
    throw refusal(`${path} is not a file; name UTF-8 text, or give the text itself as { content }`);
  if (info.size > MAX_FILE_BYTES)
    throw refusal(
      `${path} has ${info.size} bytes, more than the ${MAX_FILE_BYTES} that are read; give an excerpt`,
    );
  return (await readUtf8(path)) ?? "";
}

const isContent = (source: TextSource): source is { readonly content: string } =>
  typeof source === "object" && "content" in source;

const pathOf = (source: string | URL): string => (source instanceof URL ? fileURLToPath(source) : source);

const nameOf = (source: TextSource): string => (isContent(source) ? "text" : basename(pathOf(source)));

const refusal = (message: string): ConverterError =>
  new ConverterError("invalid-option", `text ${message}`, { option: "text" });
