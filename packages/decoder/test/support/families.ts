import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bytesSource } from "@kvfold/safetensors";
import { type Checkpoint, openCheckpoint } from "../../src/index.js";

const folder = new URL("../../testdata/families/", import.meta.url);

/** What transformers computes for a checkpoint; see testdata/families/README.md. */
export interface Reference {
  readonly model_type: string;
  readonly sequences: readonly {
    readonly ids: readonly number[];
    /** Logits of positions 22 and 23. */
    readonly last: readonly (readonly number[])[];
    /** Sum of the absolute logits over all positions. */
    readonly abs_sum: number;
  }[];
}

export const familyNames: readonly string[] = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

export const familyFolder = (name: string): string => fileURLToPath(new URL(name, folder));

const readText = (name: string, file: string) => readFileSync(new URL(`${name}/${file}`, folder), "utf8");

export const readReference = (name: string): Reference => JSON.parse(readText(name, "reference.json"));

export const readFields = (name: string): Record<string, unknown> =>
  JSON.parse(readText(name, "config.json"));

/** Opens one of the tiny models in memory, maybe with other words for its config. */
export function openFamily(
  name: string,
  change: (fields: Record<string, unknown>) => Record<string, unknown> = (fields) => fields,
): Promise<Checkpoint> {
  const config = JSON.stringify(change(readFields(name)));
  const weights = readFileSync(new URL(`${name}/model.safetensors`, folder));
  return openCheckpoint({
    name,
    readText: async (file) => (file === "config.json" ? config : undefined),
    openBytes: async (file) => (file === "model.safetensors" ? bytesSource(weights) : undefined),
  });
}
