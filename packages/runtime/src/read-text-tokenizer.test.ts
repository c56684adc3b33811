import { describe, expect, it } from "vitest";
import { readTextTokenizer, type Tokenizer } from "./index.js";

/** Knows letters as their codes, and begins texts with a 1. */
class Letters implements Tokenizer {
  constructor(definition: object) {
    if ("unknown" in definition) throw new Error(`unknown kind ${"x".repeat(20_000)}`);
  }
  encode(text: string, { add_special_tokens: adds }: { readonly add_special_tokens: boolean }) {
    const ids = Array.from(text, (letter) => letter.codePointAt(0)!);
    return { ids: adds ? [1, ...ids] : ids };
  }
  decode = (ids: number[]) => String.fromCodePoint(...ids);
  token_to_id = () => undefined;
  id_to_token = () => undefined;
}

const read = (definition: string | undefined, settings?: string) =>
  readTextTokenizer(Letters, { model: "model", definition, settings });

describe("readTextTokenizer", () => {
  it("makes a tokenizer of the files' texts", () => {
    expect(read("{}").encode("ab")).toEqual([97, 98]);
    expect(read("{}").addedBos).toBe(1);
    expect(read("{}", '{ "add_bos_token": false }').addedBos).toBeUndefined();
  });

  it.each([
    [
      "a missing one",
      undefined,
      undefined,
      /^model has no tokenizer\.json, so text cannot become tokens; add it/,
    ],
    [
      "a broken one",
      "{",
      undefined,
      /^model: tokenizer\.json or tokenizer_config\.json is broken .* take both/,
    ],
    ["broken settings", "{}", "[", /^model: tokenizer\.json or tokenizer_config\.json is broken/],
    // Without the check, a tokenizer that goes through its letters takes all memory.
    [
      "a token that claims a length",
      '{ "added_tokens": [{ "content": { "length": 1e9 } }] }',
      undefined,
      /expected added_tokens\[0\] to be/,
    ],
    ["an unknown kind", '{ "unknown": 1 }', undefined, /\(unknown kind x{187}…\); take both/],
  ])("refuses %s", (_, definition, settings, message) => {
    expect(() => read(definition, settings)).toThrow(
      expect.objectContaining({ code: "malformed-tokenizer", message: expect.stringMatching(message) }),
    );
  });
});
