/** A Llama so small that a fold takes no time, in the form that the page folds it. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { syntheticFiles, tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";
import type { FoldRequest } from "../src/fold/fold-request.js";

/** Longer than the windows. */
export const POSITIONS = 128;

/** A tokenizer of 64 words. */
const tokenizerFile = (file: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../cli/testdata/tiny-llama/${file}`, import.meta.url)), "utf8");

export async function tinyRequest(method: string): Promise<FoldRequest> {
  const config = { ...tinyLlama, vocab_size: 64, max_position_embeddings: POSITIONS };
  const contents = syntheticFiles({ config });
  for (const file of ["tokenizer.json", "tokenizer_config.json"])
    contents.set(file, await tokenizerFile(file));
  const files = new Map(
    [...contents].map(([name, content]) => [
      name,
      new Blob([typeof content === "string" ? content : new Uint8Array(content)]),
    ]),
  );
  const calibration = { text: "a b c d e f ".repeat(30), windows: 3, length: 32 };
  return { name: "tiny", files, keep: "1/2", method, runtimeUrl: "", calibration };
}

export const silent = { onProgress: () => {}, onEnergy: () => {} };
