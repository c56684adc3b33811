import { type Checkpoint, type FolderSource, openCheckpoint } from "../checkpoint/checkpoint.js";
import { inFile } from "../checkpoint/in-file.js";
import { openExported } from "./open-exported.js";

/** Where tools put decoder graphs, the most exact first: paths in a model's folder. */
export const exportedGraphs: readonly string[] = [
  "model",
  "decoder_model_merged",
  "model_fp16",
  "model_q4f16",
  "model_q4",
].flatMap((name) => [`${name}.onnx`, `onnx/${name}.onnx`]);

export declare namespace openWeights {
  interface Options extends openCheckpoint.Options {
    /** A graph in the folder to read, whatever else is there. */
    readonly graph?: string | undefined;
  }
}

/**
 * Opens the weights of a model wherever a folder holds them: a Hugging Face checkpoint (see `openCheckpoint`), or without
 * one the decoder graph of another tool (`src/exported`).
 *
 * @throws {DecoderError} as these do.
 */
export async function openWeights(
  folder: FolderSource,
  { graph, ...options }: openWeights.Options = {},
): Promise<Checkpoint> {
  const found = graph ?? (await findGraph(folder));
  if (found === undefined) return openCheckpoint(folder, options);
  return openExported(folder, { ...options, graph: found });
}

const CHECKPOINTS = ["model.safetensors", "model.safetensors.index.json"];

/** The graph of a folder without a checkpoint. */
async function findGraph(folder: FolderSource): Promise<string | undefined> {
  if ((await firstOf(folder, CHECKPOINTS)) !== undefined) return undefined;
  return firstOf(folder, exportedGraphs);
}

async function firstOf(folder: FolderSource, files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const source = await inFile(folder, file, () => folder.openBytes(file));
    await source?.close?.();
    if (source !== undefined) return file;
  }
  return undefined;
}
