import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { plainProducts } from "@kvfold/linalg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportGenai } from "../../decoder/test/exporters/genai.js";
import type { Exported } from "../../decoder/test/exporters/graph-writer.js";
import { exportOptimum } from "../../decoder/test/exporters/optimum.js";
import { renamed } from "../../decoder/test/exporters/renamed.js";
import { familyFolder, openFamily } from "../../decoder/test/support/families.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { createBlockMath } from "../src/index.js";
import { fold } from "../src/node.js";

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

/** A folder with a graph as exporters leave it, and the config of its family. */
async function writeExport(name: string, family: string, path: string, exported: Exported): Promise<string> {
  const { bytes, externalData = [] } = exported;
  const from = join(folder, name);
  await mkdir(dirname(join(from, path)), { recursive: true });
  await writeFile(join(from, path), bytes);
  for (const { path: file, data } of externalData) await writeFile(join(from, path, "..", file), data);
  await writeFile(join(from, "config.json"), await readFile(join(familyFolder(family), "config.json")));
  return from;
}

const exporters = [
  ["genai", "model.onnx", exportGenai],
  ["optimum", "onnx/model.onnx", exportOptimum],
] as const;

it.each(exporters)(
  "a graph of %s folds to the bytes that its checkpoint folds to, also with other names",
  async (name, path, write) => {
    const exported = await write(await openFamily("qwen3"));
    const from = await writeExport(`${name}-export`, "qwen3", path, exported);
    const expected = await foldedWeights(familyFolder("qwen3"), `${name}-of-checkpoint`);
    const found = await foldedWeights(from, `${name}-of-graph`, name === "genai" ? path : undefined);
    expect(found.equals(expected)).toBe(true);
    const other = renamed(exported, "names that say nothing");
    const renamedExport = await writeExport(`${name}-renamed`, "qwen3", path, other);
    expect((await foldedWeights(renamedExport, `${name}-of-renamed`)).equals(expected)).toBe(true);
  },
);

describe.each(exporters)("a rounded graph of %s", (name, path, write) => {
  it.each([
    ["qwen3", "float16", { floats: "float16" }],
    ["qwen3", "four bits", { products: "q4" }],
    ["smollm3", "float16", { floats: "float16" }],
    ["smollm3", "four bits", { products: "q4" }],
  ] as const)(
    "of %s in %s folds as the checkpoint that has its numbers",
    async (family, dtype, precision) => {
      const at = (what: string) => `${name}-${family}-${dtype}-${what}`;
      const exported = await write(await openFamily(family), precision);
      const from = await writeExport(at("export"), family, path, exported);
      const checkpoint = join(folder, at("checkpoint"));
      await fold({ from, to: checkpoint, keep: 1, formats: ["hf"] });
      const [found, expected] = [
        await foldedWeights(from, at("of-graph")),
        await foldedWeights(checkpoint, at("of-checkpoint")),
      ];
      expect(found.equals(expected)).toBe(true);
      // The families' own checkpoints are in float16, so that only four bits change their numbers.
      const own = await foldedWeights(familyFolder(family), at("of-family"));
      expect(found.equals(own)).toBe(dtype === "float16");
    },
  );
});
