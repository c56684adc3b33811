import { signal } from "@preact/signals";
import type { PickedFolder } from "./dropped-folder.js";
import { embeddedModel } from "./embedded-model.js";

/** The checkpoint that the page works on. */
export const chosenModel = signal<PickedFolder | undefined>(undefined);
/** Why the last choice came to nothing. */
export const modelProblem = signal<string | undefined>(undefined);

/** Takes a folder for the model, or says what it lacks. */
export function chooseModel(folder: PickedFolder): void {
  const missing = missingParts(folder);
  modelProblem.value =
    missing.length === 0
      ? undefined
      : `${folder.name} has no ${missing.join(", no ")}; drop a Hugging Face folder with config.json, tokenizer.json and safetensors`;
  if (missing.length === 0) chosenModel.value = folder;
}

export async function chooseEmbedded(): Promise<void> {
  try {
    chooseModel(await embeddedModel());
  } catch (error) {
    modelProblem.value = error instanceof Error ? error.message : String(error);
  }
}

function missingParts({ files }: PickedFolder): readonly string[] {
  const parts = ["config.json", "tokenizer.json"].filter((path) => !files.has(path));
  const weights = [...files.keys()].some((path) => path.endsWith(".safetensors"));
  return weights ? parts : [...parts, "safetensors file"];
}
