/** The page's fold on Node's ONNX Runtime, of a Llama so small that it takes no time. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { foldFiles } from "../src/fold/fold-files.js";
import type { FoldRequest } from "../src/fold/fold-request.js";

const POSITIONS = 256;

const read = (file: string): Promise<Uint8Array<ArrayBuffer>> =>
  readFile(fileURLToPath(new URL(`../../cli/testdata/tiny-llama/${file}`, import.meta.url))).then(
    (bytes) => new Uint8Array(bytes),
  );

async function tinyRequest(method: string): Promise<FoldRequest> {
  const names = ["config.json", "tokenizer.json", "tokenizer_config.json"];
  const files = new Map<string, Blob>();
  for (const name of names) files.set(name, new Blob([await read(name)]));
  const weights = new Uint8Array(gunzipSync(await read("model.safetensors.gz")));
  files.set("model.safetensors", new Blob([weights]));
  const calibration = { text: "a b c d ".repeat(30), windows: 2, length: 32 };
  return { name: "tiny", files, keep: "1/2", method, runtimeUrl: "", calibration };
}

const silent = { onProgress: () => {}, onEnergy: () => {} };

describe("foldFiles", () => {
  it("spreads moments of rotated keys over the model's context, beyond the windows", async () => {
    const { plan, energy } = await foldFiles(await tinyRequest("latent"), nodeProvider(), silent);
    expect(plan).toMatchObject({ method: "latent", context: POSITIONS });
    expect(energy).toHaveLength(1);
  });
});
