import { readFile, stat } from "node:fs/promises";
import { checkTokens, parseTokenBytes, type TokenFormat, tokenizeDocument } from "@kvfold/calibration";
import { readUtf8 } from "@kvfold/decoder/node";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { documentBos, type Vocabulary } from "./vocabulary.js";

/** A file of text, or of raw little-endian token ids. */
export interface TokenFile {
  readonly path: string;
  readonly format: "text" | TokenFormat;
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
export const tokenFile = (path: string): TokenFile =>
  path.endsWith(".u16") || path.endsWith(".u32") ? tokenIdFile(path) : { path, format: "text" };

/** A file of token ids of two bytes, or of four where its name says so. */
export const tokenIdFile = (path: string): TokenFile => ({
  path,
  format: path.endsWith(".u32") ? "uint32" : "uint16",
});

/** Text of more than this fits no JavaScript string, and no calibration needs a hundredth of it. */
const MAX_FILE_BYTES = 400 * 2 ** 20;

/**
 * Reads files as one sequence of tokens.
 *
 * @throws {CliError} `unreadable-file` for a missing file, a folder, or a file beyond 400 MiB.
 * @throws {DecoderError} `malformed-checkpoint` for text that is not UTF-8.
 * @throws {CalibrationError} `malformed-tokens` for a file of token ids that is none, and for tokens beyond the vocabulary.
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
  vocabulary: Vocabulary,
): AsyncGenerator<Iterable<number>> {
  if (format === "text") yield* readText(path, vocabulary);
  else yield parseTokenBytes(await readFile(path), vocabulary.vocabSize, path, format);
}

async function* readText(path: string, vocabulary: Vocabulary): AsyncGenerator<readonly number[]> {
  const text = (await readUtf8(path)) ?? "";
  const tokenizer = await vocabulary.loadTokenizer();
  const { vocabSize } = vocabulary;
  for (const piece of tokenizeDocument(text, tokenizer, documentBos(tokenizer, vocabulary))) {
    checkTokens(piece, { vocabSize, source: path, nameOf: tokenizer.nameOf });
    yield piece;
  }
}

async function checkReadable(path: string): Promise<void> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new CliError("unreadable-file", `${path}: no such file`, { cause });
  });
  if (!info.isFile())
    throw new CliError("unreadable-file", `${path} is not a file; name a text, .u16 or .u32 file`);
  if (info.size > MAX_FILE_BYTES) {
    throw new CliError(
      "unreadable-file",
      `${path} has ${info.size} bytes, more than the ${MAX_FILE_BYTES} that are read; give an excerpt`,
    );
  }
}
