import { describe, expect, it } from "vitest";
import { tokenizeDocument } from "./tokenize-document.js";

describe("tokenizeDocument", () => {
  const tokenizer = { encode: (text: string) => [text.length], decode: () => "" };

  it("begins with the document token and ends paragraphs with two newlines", () => {
    expect([...tokenizeDocument("ab\ncd\r\n\r\nefg\n \n\n", tokenizer, 0)]).toEqual([[0], [7], [5]]);
    expect([...tokenizeDocument("ab", tokenizer, undefined)]).toEqual([[4]]);
    expect([...tokenizeDocument(" \n", tokenizer, 0)]).toEqual([]);
  });

  it("takes the token from a text that begins with it", () => {
    expect([...tokenizeDocument("ab\n\nab", tokenizer, 4)]).toEqual([[4], [4]]);
  });
});
