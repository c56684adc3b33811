import { CalibrationError } from "./calibration-error.js";

/** Number formats of token ids in a file; `uint16` has room for vocabularies of up to 65 536. */
export type TokenFormat = "uint16" | "uint32";

/** Ids are kept, and given to models, as signed 32-bit numbers or wider. */
const MAX_VOCABULARY = 2 ** 31;

/**
 * Reads raw little-endian token ids.
 *
 * @param source - The file's name, for error messages.
 * @throws {CalibrationError} `malformed-tokens` when the bytes are not a whole number of ids, or an id is not below
 *   `vocabSize`.
 * @example
 * ```ts
 * import { parseTokenBytes } from "@kvfold/calibration";
 * [...parseTokenBytes(Uint8Array.of(1, 0, 2, 0), 128_256, "a.u16")]; // => [1, 2]
 * [...parseTokenBytes(Uint8Array.of(1, 0, 1, 0), 128_256, "a.u32", "uint32")]; // => [65_537]
 * ```
 */
export function parseTokenBytes(
  bytes: Uint8Array,
  vocabSize: number,
  source: string,
  format: TokenFormat = "uint16",
): Int32Array {
  const width = format === "uint16" ? 2 : 4;
  if (bytes.byteLength % width !== 0) {
    throw new CalibrationError(
      "malformed-tokens",
      `${source}: ${bytes.byteLength} bytes are not a whole number of ${format} token ids; is the file truncated, or text?`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const limit = Math.min(vocabSize, MAX_VOCABULARY);
  const tokens = new Int32Array(bytes.byteLength / width);
  for (let index = 0; index < tokens.length; index++) {
    const token = width === 2 ? view.getUint16(width * index, true) : view.getUint32(width * index, true);
    if (token >= limit) throw unknownToken(source, `${token} at index ${index}`, limit, FOREIGN_FILE);
    tokens[index] = token;
  }
  return tokens;
}

export declare namespace checkTokens {
  interface Options {
    readonly vocabSize: number;
    /** What the text is, for the error message: a file's name, or an option's. */
    readonly source: string;
    /** Names of tokens as the tokenizer writes them. */
    readonly nameOf: (token: number) => string | undefined;
  }
}

/**
 * Checks that a model has all tokens that its tokenizer made of a text. Some do not: tokens that were added to the
 * tokenizer alone, most often for padding, lie beyond the embedding. Ids that are not numbers come from broken tokenizers.
 *
 * @throws {CalibrationError} `malformed-tokens` for an id that is not below `vocabSize`.
 */
export function checkTokens(
  tokens: readonly number[],
  { vocabSize, source, nameOf }: checkTokens.Options,
): void {
  const index = tokens.findIndex((token) => !isBelow(token, vocabSize));
  if (index === -1) return;
  const token = tokens[index]!;
  const shown = typeof token === "number" ? `${token} (${nameOf(token) ?? "unnamed"})` : `at index ${index}`;
  throw unknownToken(source, shown, vocabSize, FOREIGN_TEXT);
}

/** The types of JSON files are only claims. */
const isBelow = (token: unknown, vocabSize: number): boolean =>
  Number.isSafeInteger(token) && (token as number) >= 0 && (token as number) < vocabSize;

const FOREIGN_FILE = "was the file made with another tokenizer?";
const FOREIGN_TEXT = "the tokenizer knows it but the model does not: leave it out of the text";

const unknownToken = (source: string, token: string, vocabSize: number, remedy: string): CalibrationError =>
  new CalibrationError(
    "malformed-tokens",
    `${source}: token ${token} is not in the vocabulary of ${vocabSize}; ${remedy}`,
  );
