import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTokenBytes, tokenWindows } from "./token-windows.js";

const plain = (windows: readonly Int32Array[]) => windows.map((window) => [...window]);
const ten = Uint16Array.from({ length: 10 }, (_, index) => index);

describe("tokenWindows", () => {
  it("cuts consecutive windows and drops the rest", () => {
    expect(plain(tokenWindows(ten, { length: 4 }))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
  });

  it("takes a count of windows, from any on", () => {
    expect(plain(tokenWindows(ten, { length: 3, count: 1, first: 2 }))).toEqual([[6, 7, 8]]);
  });

  it("takes arrays of any kind and copies them", () => {
    const tokens = Int32Array.from([1, 2, 3, 4]);
    const windows = tokenWindows(tokens, { length: 2 });
    tokens.fill(0);
    expect(plain(windows)).toEqual(plain(tokenWindows([1, 2, 3, 4], { length: 2 })));
  });

  it("gives back a prefix of the text, whatever its length", () => {
    const sizes = fc.integer({ min: 1, max: 50 });
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(65_535), { minLength: 1, maxLength: 200 }), (length, tokens) => {
        fc.pre(tokens.length >= length);
        const joined = plain(tokenWindows(tokens, { length })).flat();
        expect(joined).toEqual(tokens.slice(0, tokens.length - (tokens.length % length)));
      }),
    );
  });

  it.each([
    [
      "more windows than there are",
      { length: 4, count: 3, source: "corpus.u16" },
      "corpus.u16 holds 10 tokens, enough for 2 windows of 4, but 3 are wanted; give more text, or fewer or shorter windows",
    ],
    [
      "a window longer than the text",
      { length: 11 },
      "the text holds 10 tokens, enough for 0 windows of 11, but 1 are wanted; give more text, or fewer or shorter windows",
    ],
    [
      "windows behind the end",
      { length: 4, first: 2 },
      "the text holds 10 tokens, enough for 0 windows of 4 from window 2 on, but 1 are wanted; give more text, or fewer or shorter windows",
    ],
    [
      "no windows",
      { length: 4, count: 0 },
      "the text holds 10 tokens, enough for 2 windows of 4, but 1 are wanted; give more text, or fewer or shorter windows",
    ],
  ])("refuses %s", (_, options, message) => {
    expect(() => tokenWindows(ten, options)).toThrow(
      expect.objectContaining({ code: "too-few-tokens", message }),
    );
  });
});

describe("parseTokenBytes", () => {
  it("reads little-endian numbers, at any offset", () => {
    const bytes = Uint8Array.of(9, 0x34, 0x12, 0xff, 0x00).subarray(1);
    expect([...parseTokenBytes(bytes, 65_536, "a.u16")]).toEqual([0x1234, 0xff]);
  });

  it("reads no bytes as no tokens", () => {
    expect(parseTokenBytes(new Uint8Array(0), 10, "a.u16")).toHaveLength(0);
  });

  it.each([
    [
      "an odd number of bytes",
      Uint8Array.of(1, 0, 2),
      "a.u16: 3 bytes are no uint16 token ids; is the file truncated, or text?",
    ],
    [
      "a token beyond the vocabulary",
      Uint8Array.of(9, 0, 10, 0),
      "a.u16: token 10 at index 1 is not in the vocabulary of 10; was the file made with another tokenizer?",
    ],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parseTokenBytes(bytes, 10, "a.u16")).toThrow(
      expect.objectContaining({ code: "malformed-tokens", message }),
    );
  });
});
