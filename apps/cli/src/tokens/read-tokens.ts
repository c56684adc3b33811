import { readFile, stat } from "node:fs/promises";
import { parseTokenBytes, tokenizeDocument } from "@kvfold/calibration";
import { readUtf8 } from "@kvfold/decoder/node";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { TextTokenizer } from "./text-tokenizer.js";

/** A file of text, or of raw little-endian uint16 token ids. */
export interface TokenFile {
  readonly path: string;
  readonly format: "text" | "uint16";
}

/** What of a model turns files into tokens. */
export interface Vocabulary {
  readonly vocabSize: number;
  /** The token that begins every document, if the model knows one. */
  readonly bosToken: number | undefined;
  /** Called only when there is text. */
  readonly loadTokenizer: () => Promise<TextTokenizer>;
}

export declare namespace readTokens {
  interface Options {
    readonly files: readonly TokenFile[];
    readonly vocabulary: Vocabulary;
    /** No more tokens than these are needed; reading stops there. */
    readonly limit?: number;
    readonly signal?: AbortSignalLike;
  }
}

/** A file is text unless its name says that it holds token ids. */
export const tokenFile = (path: string): TokenFile => ({
  path,
  format: path.endsWith(".u16") ? "uint16" : "text",
});

/** Text of more than this fits no JavaScript string, and no calibration needs a hundredth of it. */
const MAX_FILE_BYTES = 400 * 2 ** 20;

/**
 * Reads files as one sequence of tokens.
 *
 * @throws {CliError} `unreadable-file` for a missing file, a folder, or a file beyond 400 MiB.
 * @throws {DecoderError} `malformed-checkpoint` for text that is not UTF-8.
 * @throws {CalibrationError} `malformed-tokens` for a `.u16` file that is none.
 */
export async function readTokens({
  files,
  vocabulary,
  limit = Number.POSITIVE_INFINITY,
  signal,
}: readTokens.Options): Promise<Int32Array> {
  const tokens: number[] = [];
  for (const file of files) {
    await checkReadable(file.path);
    for await (const piece of readPieces(file, vocabulary)) {
      throwIfAborted(signal);
      for (const token of piece) tokens.push(token);
      if (tokens.length >= limit) return Int32Array.from(tokens.slice(0, limit));
    }
  }
  return Int32Array.from(tokens);
}

async function* readPieces(
  { path, format }: TokenFile,
  { vocabSize, bosToken, loadTokenizer }: Vocabulary,
): AsyncGenerator<Iterable<number>> {
  if (format === "uint16") yield parseTokenBytes(await readFile(path), vocabSize, path);
  else yield* tokenizeDocument((await readUtf8(path)) ?? "", await loadTokenizer(), bosToken);
}

async function checkReadable(path: string): Promise<void> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new CliError("unreadable-file", `${path}: no such file`, { cause });
  });
  if (!info.isFile()) throw new CliError("unreadable-file", `${path} is no file; name text or .u16 files`);
  if (info.size > MAX_FILE_BYTES) {
    throw new CliError(
      "unreadable-file",
      `${path} has ${info.size} bytes, more than the ${MAX_FILE_BYTES} that are read; give an excerpt`,
    );
  }
}
