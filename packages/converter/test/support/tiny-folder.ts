import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syntheticFiles, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";

/** A tokenizer of letters: `a` is token 1, `b` token 2, and all else is dropped. */
const letters = {
  version: "1.0",
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Split", pattern: { Regex: "[^a-z]+" }, behavior: "Removed", invert: false },
  post_processor: null,
  decoder: null,
  model: {
    type: "BPE",
    vocab: Object.fromEntries(Array.from("?abcdefghijklmnopqrstuvwxyz", (letter, id) => [letter, id])),
    merges: [],
    unk_token: "?",
  },
};

/** Writes a random Llama of two layers, with a tokenizer of letters, into a folder. */
export async function writeTinyLlama(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of syntheticFiles({ config: { ...tinyLlama, bos_token_id: 60 } }))
    await writeFile(join(folder, name), content);
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(letters));
}
