import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokenWindows } from "./token-windows.js";

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

  describe("with a first token", () => {
    const windowsOf = (tokens: readonly number[], options: Partial<tokenWindows.Options> = {}) =>
      plain(tokenWindows(tokens, { length: 4, bosToken: 0, ...options }));

    it("begins every window with it, in place of one token of text", () => {
      expect(windowsOf([1, 2, 3, 4, 5, 6, 7, 8])).toEqual([
        [0, 1, 2, 3],
        [0, 4, 5, 6],
      ]);
      expect(windowsOf([1, 2, 3, 4, 5, 6, 7, 8], { first: 1, count: 1 })).toEqual([[0, 4, 5, 6]]);
    });

    it("adds no second one where a document begins", () => {
      expect(windowsOf([0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9])).toEqual([
        [0, 1, 2, 3],
        [0, 4, 5, 6],
        [0, 7, 8, 9],
      ]);
    });

    it("has all of the text in order", () => {
      const text = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 9, maxLength: 60 });
      fc.assert(
        fc.property(text, fc.integer({ min: 2, max: 9 }), (tokens, length) => {
          const windows = windowsOf(tokens, { length });
          expect(windows.every((window) => window.length === length && window[0] === 0)).toBe(true);
          const ordinary = tokens.filter((token) => token !== 0);
          const kept = windows.flat().filter((token) => token !== 0);
          expect(kept).toEqual(ordinary.slice(0, kept.length));
        }),
      );
    });

    it.each([1, 0])("refuses windows of %d tokens, which have no room for text", (length) => {
      expect(() => windowsOf([1, 2, 3], { length })).toThrow("enough for 0 windows");
    });
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
      "windows after the end",
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
