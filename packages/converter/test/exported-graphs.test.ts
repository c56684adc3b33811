import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainProducts } from "@kvfold/linalg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exportGenai } from "../../decoder/test/exporters/genai.js";
import { exportOptimum } from "../../decoder/test/exporters/optimum.js";
import { familyFolder, openFamily } from "../../decoder/test/support/families.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { createBlockMath } from "../src/index.js";
import { fold } from "../src/node.js";

const FAMILY = "qwen3";
const windows = [0, 1, 2, 3].map((seed) =>
  Int32Array.from({ length: 24 }, (_, index) => (7 * index + 31 * seed + index * index) % 96),
);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvfold-exported-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The weights of a fold. */
async function foldedWeights(from: string, name: string, graph?: string): Promise<Buffer> {
  const to = join(folder, name);
  const math = createBlockMath(plainProducts);
  await fold({ from, graph, to, keep: "1/2", windows, provider: oneThreadProvider(), math });
  return readFile(join(to, "onnx/model.onnx_data"));
}

it.each([
  ["genai", "model.onnx", exportGenai],
  ["optimum", "onnx/model.onnx", exportOptimum],
] as const)("a graph of %s folds to the bytes that its checkpoint folds to", async (name, path, write) => {
  const from = join(folder, `${name}-export`);
  const { bytes, externalData = [] } = await write(await openFamily(FAMILY));
  await mkdir(join(from, path, ".."), { recursive: true });
  await writeFile(join(from, path), bytes);
  for (const { path: file, data } of externalData) await writeFile(join(from, path, "..", file), data);
  await writeFile(join(from, "config.json"), await readFile(join(familyFolder(FAMILY), "config.json")));
  const expected = await foldedWeights(familyFolder(FAMILY), `${name}-of-checkpoint`);
  const found = await foldedWeights(from, `${name}-of-graph`, name === "genai" ? path : undefined);
  expect(found.equals(expected)).toBe(true);
});
