import { describe, expect, it } from "vitest";
import { checkTokens, parseTokenBytes } from "./parse-token-bytes.js";

describe("parseTokenBytes", () => {
  it("reads little-endian numbers, at any offset", () => {
    const bytes = Uint8Array.of(9, 0x34, 0x12, 0xff, 0x00).subarray(1);
    expect([...parseTokenBytes(bytes, 65_536, "a.u16")]).toEqual([0x1234, 0xff]);
  });

  it("reads ids of large vocabularies from four bytes each", () => {
    const bytes = Uint8Array.of(9, 9, 0xff, 0xf4, 0x01, 0x00, 1, 0, 0, 0).subarray(2);
    expect([...parseTokenBytes(bytes, 128_256, "a.u32", "uint32")]).toEqual([0x1f4ff, 1]);
  });

  it("reads no bytes as no tokens", () => {
    expect(parseTokenBytes(new Uint8Array(0), 10, "a.u16")).toHaveLength(0);
  });

  it.each([
    [
      "an odd number of bytes",
      Uint8Array.of(1, 0, 2),
      "uint16",
      "a.bin: 3 bytes are not a whole number of uint16 token ids; is the file truncated, or text?",
    ],
    [
      "six bytes as ids of four",
      new Uint8Array(6),
      "uint32",
      "a.bin: 6 bytes are not a whole number of uint32 token ids; is the file truncated, or text?",
    ],
    [
      "a token beyond the vocabulary",
      Uint8Array.of(9, 0, 10, 0),
      "uint16",
      "a.bin: token 10 at index 1 is not in the vocabulary of 10; was the file made with another tokenizer?",
    ],
    [
      "a large token beyond the vocabulary",
      Uint8Array.of(0xff, 0xff, 0xff, 0xff),
      "uint32",
      "a.bin: token 4294967295 at index 0 is not in the vocabulary of 10; was the file made with another tokenizer?",
    ],
  ] as const)("refuses %s", (_, bytes, format, message) => {
    expect(() => parseTokenBytes(bytes, 10, "a.bin", format)).toThrow(
      expect.objectContaining({ code: "malformed-tokens", message }),
    );
  });

  it("refuses ids that no array of tokens holds, however large the vocabulary", () => {
    const bytes = Uint8Array.of(0, 0, 0, 0x80);
    expect(() => parseTokenBytes(bytes, Number.POSITIVE_INFINITY, "a.u32", "uint32")).toThrow(
      "token 2147483648 at index 0",
    );
  });
});

describe("checkTokens", () => {
  const names = new Map([[64, "<pad>"]]);
  const options = { vocabSize: 64, source: "a.txt", nameOf: (token: number) => names.get(token) };

  it("takes tokens of the vocabulary", () => {
    expect(() => checkTokens([0, 63], options)).not.toThrow();
    expect(() => checkTokens([], options)).not.toThrow();
  });

  it("names the first one beyond", () => {
    expect(() => checkTokens([1, 64, 65], options)).toThrow(
      expect.objectContaining({
        code: "malformed-tokens",
        message:
          "a.txt: token 64 (<pad>) is not in the vocabulary of 64; the tokenizer knows it but the model does not: leave it out of the text",
      }),
    );
    expect(() => checkTokens([99], options)).toThrow("token 99 (unnamed)");
  });

  it.each([
    [[1, -1], "token -1 (unnamed)"],
    [[0.5], "token 0.5"],
    [[3, { a: 1 } as never], "token at index 1"],
  ])("refuses ids that are none, which a broken tokenizer makes: %j", (ids, message) => {
    expect(() => checkTokens(ids, options)).toThrow(message);
  });
});
