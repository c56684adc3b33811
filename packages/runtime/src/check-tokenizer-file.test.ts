import { describe, expect, it } from "vitest";
import { checkTokenizerFile } from "./check-tokenizer-file.js";

const endless = { length: 1e9 };

describe("checkTokenizerFile", () => {
  it.each([
    ["BPE", { model: { vocab: { a: 0 }, merges: ["a b", ["a", "b"]] }, added_tokens: [{ content: "<s>" }] }],
    ["Unigram", { model: { vocab: [["a", -1.5]] }, added_tokens: null }],
    ["nothing", {}],
  ])("takes %s", (_, definition) => {
    expect(() => checkTokenizerFile(definition)).not.toThrow();
  });

  it.each([
    ["added_tokens[1]", { added_tokens: [{ content: "a" }, { content: endless }] }],
    ["added_tokens[0]", { added_tokens: [null] }],
    ["added_tokens", { added_tokens: endless }],
    ["model.vocab[0]", { model: { vocab: [[endless, 0]] } }],
    ["model.merges[0]", { model: { merges: [endless] } }],
    ["model.merges[0]", { model: { merges: [["a", endless]] } }],
    ["model.merges", { model: { merges: endless } }],
  ])("refuses %s that claims a length", (name, definition) => {
    expect(() => checkTokenizerFile(definition)).toThrow(
      expect.objectContaining({
        code: "invalid-argument",
        message: expect.stringContaining(`expected ${name} to be`),
      }),
    );
  });
});
