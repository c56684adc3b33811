import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import { memoryFolder } from "../../../decoder/test/reference/synthetic-checkpoint.js";

/** The trained models that ship with the repository, both with a vocabulary of 4096. */
export type AssetModel = "prose-6m" | "prose-bloom-6m";

const assets = new URL("../../../../assets/", import.meta.url);

export const modelFolder = (name: AssetModel): string => fileURLToPath(new URL(`models/${name}`, assets));

/** Opens a model that is read into memory whole (11 MB), so that tests have no file to close. */
export async function openModel(name: AssetModel): Promise<Checkpoint> {
  const read = (file: string) => readFile(new URL(`models/${name}/${file}`, assets));
  const config = (await read("config.json")).toString("utf8");
  const weights = new Uint8Array(await read("model.safetensors"));
  return openCheckpoint(
    memoryFolder(
      new Map<string, string | Uint8Array>([
        ["config.json", config],
        ["model.safetensors", weights],
      ]),
    ),
  );
}

export declare namespace readWindows {
  interface Options {
    readonly text: "calibration" | "validation";
    readonly count: number;
    /** Tokens kept of each window; the files hold windows of 1025. */
    readonly length?: number;
  }
}

/** The first windows of a text. */
export async function readWindows({
  text,
  count,
  length = 1025,
}: readWindows.Options): Promise<readonly Int32Array[]> {
  const bytes = await readFile(new URL(`text/${text}.u16`, assets));
  const windows = tokenWindows(parseTokenBytes(bytes, 4096, text), { length: 1025, count, source: text });
  return windows.map((window) => window.slice(0, length));
}
