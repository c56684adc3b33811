import { randomBytes } from "node:crypto";
import { readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type HiddenStates, loadMoments, type StageMoments, saveMoments } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import { encodeFloats } from "@kvfold/safetensors";
import { fileSource, openSafetensors, writeSafetensorsFile } from "@kvfold/safetensors/node";
import { packBlock, unpackBlock } from "../journal/pack-block.js";
import { LOCK_FILE } from "./journal-lock.js";
import { syncFolder } from "./sync-files.js";
import { writeNewFile } from "./whole-file.js";

/** Everything that a journal's folder may hold; other files in it are somebody else's. */
const OWN_FILE =
  /^(journal\.json|(block|moments|gradients|original|folded)-\d+\.safetensors)(\.partial(-[0-9a-f]+)?)?$/;

/** Names of files in a journal's folder, but for locks. */
export interface FolderFiles {
  readonly own: readonly string[];
  readonly foreign: readonly string[];
}

/** The files of a folder, none where there is no folder. */
export async function listFiles(folder: string): Promise<FolderFiles> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return {
    own: names.filter((name) => OWN_FILE.test(name)),
    foreign: names.filter((name) => !OWN_FILE.test(name) && !LOCK_FILE.test(name)),
  };
}

/** Removes files in the order given, those that are there. */
export async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(folder, name), { force: true });
}

/** Removes a folder that nothing is left in. */
export async function removeEmptyFolder(folder: string): Promise<void> {
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(error.code ?? "")) throw error;
  });
}

/** Writes a file that appears complete or not at all, even after a power cut. */
export async function writeBytes(path: string, bytes: string | Uint8Array): Promise<void> {
  const partial = `${path}.partial-${randomBytes(4).toString("hex")}`;
  try {
    await writeNewFile(partial, bytes);
    await rename(partial, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw error;
  }
}

/** A block as a safetensors file; its shapes are JSON in the metadata. */
export async function writeBlock(path: string, block: BlockWeights): Promise<void> {
  const { structure, tensors } = packBlock(block);
  const sources = [...tensors].map(([name, values]) => ({
    name,
    dtype: "F32" as const,
    shape: [values.length],
    data: () => encodeFloats(values, "F32"),
  }));
  await writeSafetensorsFile(path, sources, { structure });
}

export async function readBlock(path: string): Promise<BlockWeights> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, Float32Array>();
    for (const name of file.tensors.keys()) tensors.set(name, await file.readFloats(name));
    return unpackBlock({ structure: file.metadata.structure ?? "", tensors });
  } finally {
    await file.close();
  }
}

/** Hidden states as a safetensors file with a tensor for each window, so that memory is one window. */
export async function writeStates(path: string, states: HiddenStates): Promise<void> {
  const { length } = await states.read(0);
  const sources = Array.from({ length: states.windows }, (_, index) => ({
    name: String(index),
    dtype: "F32" as const,
    shape: [length],
    data: async () => encodeFloats(await states.read(index), "F32"),
  }));
  await writeSafetensorsFile(path, sources);
}

export async function readStates(path: string, states: HiddenStates): Promise<void> {
  const file = await openSafetensors(path);
  try {
    for (let index = 0; index < states.windows; index++)
      await states.write(index, await file.readFloats(String(index)));
  } finally {
    await file.close();
  }
}

export const writeMoments = (path: string, moments: StageMoments): Promise<void> =>
  writeBytes(path, saveMoments({ layers: [moments], description: {} }));

export async function readMoments(path: string): Promise<StageMoments> {
  const source = await fileSource(path);
  try {
    const { layers } = await loadMoments(source);
    return layers[0] ?? {};
  } finally {
    await source.close();
  }
}
