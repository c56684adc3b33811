import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CheckpointFiles, firstLayers } from "../../../packages/converter/test/support/first-layers.js";

/** Of the embedded model. */
export const modelFolder: string = fileURLToPath(new URL("../../../assets/models/prose-6m", import.meta.url));

/** Two of the six layers of the embedded model: folding more of them takes longer and shows nothing else. */
const LAYERS = 2;

export async function firstLayersOfModel(): Promise<CheckpointFiles> {
  const config = await readFile(join(modelFolder, "config.json"), "utf8");
  const weights = new Uint8Array(await readFile(join(modelFolder, "model.safetensors")));
  return firstLayers({ config, weights }, LAYERS);
}
