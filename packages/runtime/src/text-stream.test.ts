import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTextStream, type TextStream } from "./index.js";

/** A byte-level tokenizer: a token is a byte. */
const decodeBytes = (tokens: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(tokens));
const encodeBytes = (text: string): readonly number[] => [...new TextEncoder().encode(text)];

const pushAll = (stream: TextStream, tokens: readonly number[]): readonly string[] =>
  tokens.map((token) => stream.push(token));

describe("createTextStream", () => {
  it("waits for the last byte of a character", () => {
    const stream = createTextStream(decodeBytes);
    expect(pushAll(stream, encodeBytes("aé€😀!"))).toEqual([
      "a",
      "",
      "é",
      "",
      "",
      "€",
      "",
      "",
      "",
      "😀",
      "!",
    ]);
    expect(stream.flush()).toBe("");
  });

  it("gives out half a character at the end, as the decoder writes it", () => {
    const stream = createTextStream(decodeBytes);
    expect(pushAll(stream, encodeBytes("é").slice(0, 1))).toEqual([""]);
    expect(stream.flush()).toBe("\uFFFD");
    expect(stream.flush()).toBe("");
  });

  it("gives out whole characters of a token that ends in half of one", () => {
    const pieces = [encodeBytes("né").slice(0, 2), encodeBytes("éo").slice(1)];
    const stream = createTextStream((tokens) => decodeBytes(tokens.flatMap((token) => pieces[token]!)));
    expect(pushAll(stream, [0, 1])).toEqual(["n", "éo"]);
  });

  it("decodes a token after the one before, for decoders that drop a leading space", () => {
    const words = ["▁one", "▁two", "<s>", "▁three"];
    const decode = (tokens: readonly number[]): string =>
      tokens
        .map((token) => words[token]!.replace("<s>", "").replace("▁", " "))
        .join("")
        .replace(/^ /, "");
    expect(pushAll(createTextStream(decode), [0, 1, 2, 3])).toEqual(["one", " two", "", " three"]);
  });

  describe("after a prompt", () => {
    const words = ["a", "▁", "▁b", "<s>", "ne"];
    const decode = (tokens: readonly number[]): string =>
      tokens
        .map((token) => words[token]!.replace("<s>", "").replace("▁", " "))
        .join("")
        .replace(/^ /, "");

    it("keeps the space of the first token, for decoders that drop a leading one", () => {
      expect(pushAll(createTextStream(decode, { after: [3, 0] }), [2, 4, 2])).toEqual([" b", "ne", " b"]);
      // The decoder drops the space of the prompt, which is not given out anyway, and keeps the next.
      expect(pushAll(createTextStream(decode, { after: [1] }), [2, 2])).toEqual([" b", " b"]);
    });

    it("drops it where there is no text before", () => {
      expect(pushAll(createTextStream(decode, { after: [3] }), [2, 2])).toEqual(["b", " b"]);
      expect(pushAll(createTextStream(decode), [2, 2])).toEqual(["b", " b"]);
    });

    it("stops at a string that begins with that space", () => {
      const stream = createTextStream(decode, { after: [0], stopStrings: [" b"] });
      expect([stream.push(2), stream.stopped, stream.flush()]).toEqual(["", true, ""]);
    });

    it("waits for whole characters", () => {
      const stream = createTextStream(decodeBytes, { after: encodeBytes("naïv") });
      expect(pushAll(stream, encodeBytes("eté"))).toEqual(["e", "t", "", "é"]);
    });
  });

  it("finds a stop string among bytes that become characters late", () => {
    // As decoders with byte fallback do: every byte of a run that is not whole is a U+FFFD of its own.
    const decode = (tokens: readonly number[]): string => {
      const text = decodeBytes(tokens);
      return text.includes("\uFFFD") ? "\uFFFD".repeat(tokens.length) : text;
    };
    const stream = createTextStream(decode, { stopStrings: [" é!"] });
    expect(pushAll(stream, encodeBytes("a é? é!b")).join("")).toBe("a é?");
    expect([stream.stopped, stream.flush()]).toEqual([true, ""]);
  });

  it("stops at a stop string and drops what follows", () => {
    const stream = createTextStream(decodeBytes, { stopStrings: ["\n\n", "END"] });
    expect(pushAll(stream, encodeBytes("a\nb EN")).join("")).toBe("a\nb ");
    expect(stream.stopped).toBe(false);
    expect(pushAll(stream, encodeBytes("D more"))).toEqual(["", "", "", "", "", ""]);
    expect([stream.stopped, stream.flush()]).toEqual([true, ""]);
  });

  it("gives out a false start of a stop string, at the latest at the end", () => {
    const stream = createTextStream(decodeBytes, { stopStrings: ["abc"] });
    expect(pushAll(stream, encodeBytes("ababd"))).toEqual(["", "", "ab", "", "abd"]);
    expect(pushAll(stream, encodeBytes("ab"))).toEqual(["", ""]);
    expect(stream.flush()).toBe("ab");
  });

  it("takes the earliest of several stop strings", () => {
    const text = "one two three";
    const stream = createTextStream(() => text, { stopStrings: ["three", "two", ""] });
    expect(stream.push(0)).toBe("one ");
    expect(stream.stopped).toBe(true);
  });

  it("loses and adds nothing, however the text is cut into tokens", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(
        text,
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 60, maxLength: 60 }),
        (whole, sizes) => {
          const pieces = cut(encodeBytes(whole), sizes);
          const stream = createTextStream((tokens) => decodeBytes(tokens.flatMap((token) => pieces[token]!)));
          const streamed = pushAll(stream, [...pieces.keys()]).join("") + stream.flush();
          expect(streamed).toBe(whole);
        },
      ),
    );
  });

  it("shows what stands before the first stop string, whatever that is", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(letters, stop, (whole, stopString) => {
        const stream = createTextStream(decodeBytes, { stopStrings: [stopString] });
        const streamed = pushAll(stream, encodeBytes(whole)).join("") + stream.flush();
        expect(streamed).toBe(whole.split(stopString)[0]);
        expect(stream.stopped).toBe(whole.includes(stopString));
      }),
    );
  });
});

/** Cuts `bytes` into pieces of the given sizes; what is left over is one piece more. */
function cut(bytes: readonly number[], sizes: readonly number[]): readonly (readonly number[])[] {
  const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
  const starts = [0, ...ends];
  return starts.map((start, i) => bytes.slice(start, ends[i])).filter((piece) => piece.length > 0);
}
