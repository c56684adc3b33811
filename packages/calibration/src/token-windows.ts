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
    /**
     * A token that every window begins with, in place of one token of text; a window whose text begins with it anyway gets no
     * second one. For models that were trained on texts with a first token and attend to it.
     */
    readonly bosToken?: number | undefined;
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
 * tokenWindows([1, 2, 3, 4, 5], { length: 2 }).map((window) => [...window]); // => [[1, 2], [3, 4]]
 * tokenWindows([0, 1, 2, 3, 4], { length: 3, bosToken: 0 }).map((window) => [...window]); // => [[0, 1, 2], [0, 3, 4]]
 * ```
 */
export function tokenWindows(
  tokens: Tokens,
  { length, count, first = 0, bosToken, source = "the text" }: tokenWindows.Options,
): readonly Int32Array[] {
  const starts = windowStarts(tokens, length, bosToken);
  const available = Math.max(0, starts.length - first);
  const wanted = count ?? available;
  if (wanted < 1 || wanted > available) {
    throw new CalibrationError(
      "too-few-tokens",
      `${source} holds ${tokens.length} tokens, enough for ${available} windows of ${length}` +
        `${first > 0 ? ` from window ${first} on` : ""}, but ${Math.max(1, wanted)} are wanted; give more text, or fewer or shorter windows`,
    );
  }
  return starts.slice(first, first + wanted).map((start) => windowAt(tokens, start, length, bosToken));
}

/** Where the text of each window begins. */
function windowStarts(tokens: Tokens, length: number, bosToken: number | undefined): readonly number[] {
  const starts: number[] = [];
  let start = 0;
  for (;;) {
    const count = textLength(tokens, start, length, bosToken);
    if (count < 1 || start + count > tokens.length) return starts;
    starts.push(start);
    start += count;
  }
}

/** Tokens of text in a window: all but a `bosToken` that the text does not have. */
const textLength = (tokens: Tokens, start: number, length: number, bosToken: number | undefined): number =>
  bosToken === undefined || tokens[start] === bosToken ? length : length - 1;

function windowAt(tokens: Tokens, start: number, length: number, bosToken: number | undefined): Int32Array {
  const text = tokens.slice(start, start + textLength(tokens, start, length, bosToken));
  const window = new Int32Array(length);
  window.set(text, length - text.length);
  if (text.length < length) window[0] = bosToken!;
  return window;
}
