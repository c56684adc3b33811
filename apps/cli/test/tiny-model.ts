/** A Llama of two layers with random weights, for tests that look at files and not at numbers. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syntheticFiles, tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";

/** Writes the model's checkpoint into a new folder. */
export async function writeTinyModel(
  folder: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of syntheticFiles({ config: { ...tinyLlama, ...fields } }))
    await writeFile(join(folder, name), content);
  return folder;
}

/** Writes token ids of the model as a `.u16` file. */
export async function writeTinyTokens(path: string, count = 512): Promise<string> {
  await writeFile(
    path,
    Uint16Array.from({ length: count }, (_, index) => (index * 7 + (index >> 3)) % 61),
  );
  return path;
}
