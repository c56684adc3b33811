/** The page's fold on Node's ONNX Runtime, of a Llama so small that it takes no time. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticFiles, tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";
import { foldFiles } from "../src/fold/fold-files.js";
import type { FoldRequest } from "../src/fold/fold-request.js";

/** Longer than the windows. */
const POSITIONS = 128;

/** A tokenizer of 64 words. */
const tokenizerFile = (file: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../cli/testdata/tiny-llama/${file}`, import.meta.url)), "utf8");

async function tinyRequest(method: string): Promise<FoldRequest> {
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

const silent = { onProgress: () => {}, onEnergy: () => {} };

describe("foldFiles", () => {
  it("spreads moments of rotated keys over the model's context, beyond the windows", async () => {
    const { plan, energy } = await foldFiles(await tinyRequest("latent"), nodeProvider(), silent);
    expect(plan).toMatchObject({ method: "latent", context: POSITIONS });
    expect(energy).toHaveLength(2);
    expect(energy[0]).not.toHaveProperty("lost");
  });

  it("measures what latents lose, beside the energy of rotated keys and of values", async () => {
    const { energy } = await foldFiles(await tinyRequest("anchored"), nodeProvider(), silent);
    expect(energy).toHaveLength(2);
    for (const { keys, values, lost } of energy) {
      for (const [index, apart] of lost!.apart.entries())
        expect(apart).toBeCloseTo(1 - (keys[index]! + values[index]!) / 2, 12);
      const [eighth] = lost!.apart;
      expect(lost!.joint[0]!).toBeLessThan(eighth!);
      expect(lost!.unturned![0]!).toBeLessThan(lost!.joint[0]!);
      // Keys and values, 64 numbers each, are functions of the same 32.
      expect(lost!.unturned![1]).toBeCloseTo(0, 6);
    }
  });
});
