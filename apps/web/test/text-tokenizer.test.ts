import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import type { ModelFiles } from "../src/models/model-files.js";
import { documentTokens, promptTokens, readTokenizer } from "../src/models/text-tokenizer.js";

const tinyLlama = new URL("../../cli/testdata/tiny-llama/", import.meta.url);

/** The files of the tiny Llama of the command line's tests, whose tokenizer is like that of Llama 2. */
async function filesOf(changes: Readonly<Record<string, object>> = {}): Promise<ModelFiles> {
  const files = new Map<string, Blob>();
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
    const text = await readFile(new URL(name, tinyLlama), "utf8").catch(() => "{}");
    files.set(name, new Blob([JSON.stringify({ ...(JSON.parse(text) as object), ...changes[name] })]));
  }
  return files;
}

describe("readTokenizer", () => {
  it("begins prompts and documents with one BOS", async () => {
    const tokenizer = await readTokenizer(await filesOf());
    expect(["ab", "<s>ab"].map((prompt) => promptTokens(tokenizer, prompt))).toEqual([
      [1, 30, 5],
      [1, 30, 5],
    ]);
    expect(["ab", "<s>ab"].map((text) => [...documentTokens(tokenizer, text, 3)])).toEqual([
      [1, 30, 5],
      [1, 30, 5],
    ]);
  });

  it("knows all tokens that end a text", async () => {
    const generation = { "generation_config.json": { eos_token_id: [31, 32] } };
    expect((await readTokenizer(await filesOf(generation))).stopTokens).toEqual([31, 32, 2]);
    expect((await readTokenizer(await filesOf())).stopTokens).toEqual([2]);
  });

  it("names tokens that the model does not have", async () => {
    const tokenizer = await readTokenizer(await filesOf({ "config.json": { vocab_size: 30 } }));
    const message = "token 30 (▁a) is not in the vocabulary of 30";
    expect(() => promptTokens(tokenizer, "ab")).toThrow(`the prompt: ${message}`);
    expect(() => documentTokens(tokenizer, "ab", 9)).toThrow(`the text: ${message}`);
  });

  it("says what is wrong with a broken one", async () => {
    const broken = new Map([...(await filesOf()), ["tokenizer.json", new Blob(["{"])]]);
    await expect(readTokenizer(broken)).rejects.toMatchObject({
      code: "malformed-tokenizer",
      message: expect.stringMatching(/^this model: tokenizer\.json or tokenizer_config\.json is broken/),
    });
  });
});
