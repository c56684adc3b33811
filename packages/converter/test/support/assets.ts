import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { type Checkpoint, type FolderSource, openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { bytesSource } from "@kvfold/safetensors";
import { memoryFolder } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { type CheckpointFiles, firstLayers } from "./first-layers.js";

/** The trained models that ship with the repository, both with a vocabulary of 4096. */
export type AssetModel = "prose-6m" | "prose-bloom-6m";

const assets = new URL("../../../../assets/", import.meta.url);

const modelFolder = (name: AssetModel): string => fileURLToPath(new URL(`models/${name}`, assets));

async function readFiles(name: AssetModel): Promise<CheckpointFiles> {
  const read = (file: string) => readFile(new URL(`models/${name}/${file}`, assets));
  const config = (await read("config.json")).toString("utf8");
  return { config, weights: new Uint8Array(await read("model.safetensors")) };
}

/** The folder of a model, of which it has the first `layers` alone. */
export async function firstLayersSource(name: AssetModel, layers: number): Promise<FolderSource> {
  const folder = await directorySource(modelFolder(name));
  const { config, weights } = await firstLayers(await readFiles(name), layers);
  return {
    ...folder,
    readText: async (file) => (file === "config.json" ? config : folder.readText(file)),
    openBytes: async (file) => (file === "model.safetensors" ? bytesSource(weights) : folder.openBytes(file)),
  };
}

/** Opens the first layers of a model: less work where no test depends on the number of layers. */
export const openFirstLayers = async (name: AssetModel, layers: number): Promise<Checkpoint> =>
  openCheckpoint(await firstLayersSource(name, layers));

/** Opens a model that is read into memory whole (11 MB), so that tests have no file to close. */
export async function openModel(name: AssetModel): Promise<Checkpoint> {
  const { config, weights } = await readFiles(name);
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
