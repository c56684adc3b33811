/** Turns tokens into text, a piece at a time. */
export interface TextStream {
  /** Takes a token and returns the text that is now certain, which may be empty. */
  push(token: number): string;
  /** Returns what was held back, at the end of the tokens. */
  flush(): string;
  /** Whether a stop string has been met. What follows it is dropped. */
  readonly stopped: boolean;
}

export declare namespace createTextStream {
  interface Options {
    /** Texts that end the stream; they are not part of the output. */
    readonly stopStrings?: readonly string[] | undefined;
    /**
     * Tokens that stand before the first one, such as the prompt; their own text is not given out. Many decoders drop the
     * space at the start of a text, and know from these that there is none to drop.
     */
    readonly after?: readonly number[] | undefined;
  }
}

/** What a decoder writes for bytes that do not form a complete character yet. */
const TRAILING_REPLACEMENTS = /\uFFFD+$/;

/**
 * Streams the text of tokens. A byte-level token may hold half a character: a U+FFFD at the end of the text is held back
 * until the character is whole. So is text that may be the start of a stop string. Stop strings are looked for in the text
 * that is given out, however it is cut into tokens.
 *
 * @param decode - The tokenizer's: text of a list of tokens.
 *
 * @example
 * ```ts
 * import { createTextStream } from "@kvfold/runtime";
 *
 * const words = ["one", " two", " th", "ree", " four"];
 * const stream = createTextStream((ids) => ids.map((id) => words[id]).join(""), { stopStrings: [" three"] });
 * [0, 1, 2, 3, 4].map((id) => stream.push(id)); // => ["one", " two", "", "", ""]
 * stream.stopped; // => true
 * ```
 */
export function createTextStream(
  decode: (tokens: readonly number[]) => string,
  { stopStrings = [], after = [] }: createTextStream.Options = {},
): TextStream {
  const characters = createCharacterStream(decode, after);
  const stops = stopStrings.filter((stop) => stop !== "");
  let held = "";
  let stopped = false;

  const accept = (text: string): void => {
    const pending = held + text;
    const end = firstStop(pending, stops);
    stopped = end !== -1;
    held = stopped ? pending.slice(0, end) : pending;
  };
  const release = (keep: number): string => {
    const text = held.slice(0, held.length - keep);
    held = held.slice(text.length);
    return text;
  };

  return {
    push(token) {
      if (stopped) return "";
      accept(characters.push(token));
      return release(stopped ? 0 : unsettledLength(held, stops));
    },
    flush() {
      if (!stopped) accept(characters.flush());
      return release(0);
    },
    get stopped() {
      return stopped;
    },
  };
}

/**
 * Text of whole characters. New tokens are decoded together with those of the last piece, since a decoder treats the first
 * token of a text differently (it may drop a space), and with no others, so that a long text costs no more per token.
 */
function createCharacterStream(
  decode: (tokens: readonly number[]) => string,
  after: readonly number[],
): Pick<TextStream, "push" | "flush"> {
  let tokens = after;
  let contextCount = after.length;
  let emittedLength = after.length === 0 ? 0 : decode(after).length;
  return {
    push(token) {
      tokens = [...tokens, token];
      const text = decode(tokens);
      const whole = text.replace(TRAILING_REPLACEMENTS, "");
      const piece = whole.slice(emittedLength);
      emittedLength += piece.length;
      if (piece !== "" && whole === text) {
        tokens = tokens.slice(contextCount);
        contextCount = tokens.length;
        emittedLength = decode(tokens).length;
      }
      return piece;
    },
    flush() {
      const piece = decode(tokens).slice(emittedLength);
      emittedLength += piece.length;
      return piece;
    },
  };
}

/** Where the earliest stop string begins, or -1. */
function firstStop(text: string, stops: readonly string[]): number {
  const starts = stops.map((stop) => text.indexOf(stop)).filter((start) => start !== -1);
  return starts.length === 0 ? -1 : Math.min(...starts);
}

/** Length of the longest end of `text` that begins some stop string. */
function unsettledLength(text: string, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map((stop) => stop.length - 1));
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    if (stops.some((stop) => stop.startsWith(text.slice(-length)))) return length;
  }
  return 0;
}
