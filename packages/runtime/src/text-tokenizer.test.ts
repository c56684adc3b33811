import { describe, expect, it } from "vitest";
import { type Tokenizer, textTokenizer } from "./index.js";

const NAMES = ["<unk>", "<s>", "</s>", "a", "b"];

/** A tokenizer of letters that adds special tokens around a text. */
const letters = (before: readonly number[] = [], after: readonly number[] = []): Tokenizer => ({
  encode: (text, { add_special_tokens: adds }) => {
    const ids = Array.from(text, (letter) => NAMES.indexOf(letter));
    return { ids: adds ? [...before, ...ids, ...after] : ids };
  },
  decode: (ids, { skip_special_tokens: skips }) =>
    ids.map((id) => (skips && id < 3 ? "" : NAMES[id])).join(""),
  token_to_id: (token) => (NAMES.includes(token) ? NAMES.indexOf(token) : undefined),
  id_to_token: (id) => NAMES[id],
});

describe("textTokenizer", () => {
  it("adds nothing to texts, and leaves special tokens out of them", () => {
    const { encode, decode, nameOf } = textTokenizer(letters([1], [2]), {});
    expect(encode("ab")).toEqual([3, 4]);
    expect(decode([1, 3, 4, 2])).toBe("ab");
    expect([nameOf(1), nameOf(9)]).toEqual(["<s>", undefined]);
  });

  it.each([
    ["a post-processor that adds it", letters([1]), {}, 1],
    ["one that adds an end, too", letters([1], [2]), {}, 1],
    ["one that adds only an end", letters([], [2]), {}, undefined],
    ["none", letters(), { bos_token: "<s>" }, undefined],
    ["a setting", letters(), { add_bos_token: true, bos_token: "<s>" }, 1],
    ["a setting and a described token", letters(), { add_bos_token: true, bos_token: { content: "<s>" } }, 1],
    ["a setting without a token", letters(), { add_bos_token: true, bos_token: null }, undefined],
    ["a setting against it", letters([1]), { add_bos_token: false, bos_token: "<s>" }, undefined],
  ])("finds the token that begins texts: %s", (_, tokenizer, settings, expected) => {
    expect(textTokenizer(tokenizer, settings).addedBos).toBe(expected);
  });
});
