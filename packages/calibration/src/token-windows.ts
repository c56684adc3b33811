import { CalibrationError } from "./calibration-error.js";

/** A sequence of token ids. */
export type Tokens = Uint16Array | Int32Array | readonly number[];

export declare namespace tokenWindows {
  interface Options {
    /** Tokens of a window. */
    readonly length: number;
    /** Windows wanted; all that fit without it. */
    readonly count?: number;
    /** Index of the first window. */
    readonly first?: number;
    /** What the tokens are, for the error message. */
    readonly source?: string;
  }
}

/**
 * Cuts tokens into consecutive windows of `length`, from the start; what is left over at the end is dropped.
 *
 * @throws {CalibrationError} `too-few-tokens` when fewer than `count` windows (or none at all) fit.
 * @example
 * ```ts
 * import { tokenWindows } from "@kvfold/calibration";
 * tokenWindows([1, 2, 3, 4, 5], { length: 2 }).map((window) => [...window]) // => [[1, 2], [3, 4]]
 * ```
 */
export function tokenWindows(
  tokens: Tokens,
  { length, count, first = 0, source = "the text" }: tokenWindows.Options,
): readonly Int32Array[] {
  const available = Math.max(0, Math.floor(tokens.length / length) - first);
  const wanted = count ?? available;
  if (wanted < 1 || wanted > available) {
    throw new CalibrationError(
      "too-few-tokens",
      `${source} holds ${tokens.length} tokens, enough for ${available} windows of ${length}` +
        `${first > 0 ? ` from window ${first} on` : ""}, but ${Math.max(1, wanted)} are wanted; give more text, or fewer or shorter windows`,
    );
  }
  return Array.from({ length: wanted }, (_, index) => {
    const start = (first + index) * length;
    return Int32Array.from(tokens.slice(start, start + length));
  });
}

/**
 * Reads raw little-endian uint16 token ids.
 *
 * @throws {CalibrationError} `malformed-tokens` when the byte count is odd or an id is not below `vocabSize`.
 */
export function parseTokenBytes(bytes: Uint8Array, vocabSize: number, source: string): Uint16Array {
  if (bytes.byteLength % 2 !== 0) {
    throw new CalibrationError(
      "malformed-tokens",
      `${source}: ${bytes.byteLength} bytes are no uint16 token ids; is the file truncated, or text?`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens = Uint16Array.from({ length: bytes.byteLength / 2 }, (_, index) =>
    view.getUint16(2 * index, true),
  );
  const unknown = tokens.findIndex((token) => token >= vocabSize);
  if (unknown >= 0) {
    throw new CalibrationError(
      "malformed-tokens",
      `${source}: token ${tokens[unknown]} at index ${unknown} is not in the vocabulary of ${vocabSize}; was the file made with another tokenizer?`,
    );
  }
  return tokens;
}
