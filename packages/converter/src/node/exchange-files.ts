import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { StageResult, SumPlace } from "@kvfold/calibration";
import { openSafetensors, type SafetensorsFile, writeSafetensorsFile } from "@kvfold/safetensors/node";

/** The file that says which fold an exchange is of. */
export const FOLD_FILE = "fold.json";

const PART = /^block-(\d+)\.[a-z0-9-]+\.shard-(\d+)\.safetensors/;
/** What the first shard settles at the beginning of a step: gone with the parts of that block. */
const BEGINNING = /^settled-beginning-of-block-(\d+)-/;
const OWN_FILE =
  /^(fold\.json|settled-[a-z0-9-]+\.json|shard-\d+\.json|block-\d+\.[a-z0-9-]+\.shard-\d+\.safetensors)(\.partial-[0-9a-f]+)?$/;

export const recordFile = (shard: number): string => `shard-${shard}.json`;
export const settledFile = (name: string): string => `settled-${inFileName(name)}.json`;
/** The part of one shard: `block-4.refit-down.shard-3.safetensors`. */
export const partFile = ({ layer, step }: SumPlace, shard: number): string =>
  `block-${layer}.${inFileName(step)}.shard-${shard}.safetensors`;

const inFileName = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

/** Whether a file is a shard's part of a block before `layer`, or what the first shard settled for one. */
export function isPartBefore(name: string, shard: number, layer: number): boolean {
  const [, settled] = BEGINNING.exec(name) ?? [];
  const [, block, owner] = settled === undefined ? (PART.exec(name) ?? []) : [name, settled, "1"];
  return Number(owner) === shard && Number(block) < layer;
}

/** The files of an exchange, and what else is in its folder. Hidden files do not count: file systems make some of their own. */
export async function listExchange(
  folder: string,
): Promise<{ readonly own: readonly string[]; readonly foreign: readonly string[] }> {
  const names = await readdir(folder);
  return {
    own: names.filter((name) => OWN_FILE.test(name)),
    foreign: names.filter((name) => !OWN_FILE.test(name) && !name.startsWith(".")),
  };
}

/** The text of a file; nothing where it is not there. */
export async function readIfThere(folder: string, name: string): Promise<string | undefined> {
  return readFile(join(folder, name), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

/** Writes a part that appears complete or not at all: float64, one tensor for each array. `fold` tells which fold it is of. */
export async function writePart(path: string, part: StageResult, fold: string): Promise<void> {
  const arrays = [
    ...Object.entries(part.moments).flatMap(([name, { count, sum, gram }]) => [
      [`moments.${name}.count`, Float64Array.of(count)] as const,
      [`moments.${name}.sum`, sum] as const,
      [`moments.${name}.gram`, gram] as const,
    ]),
    ...Object.entries(part.crosses).flatMap(([name, { cross, sum }]) => [
      [`crosses.${name}.sum`, sum] as const,
      [`crosses.${name}.cross`, cross] as const,
    ]),
  ];
  const tensors = arrays.map(([name, { buffer, byteOffset, byteLength, length }]) => ({
    name,
    dtype: "F64" as const,
    shape: [length],
    data: () => new Uint8Array(buffer, byteOffset, byteLength),
  }));
  await writeSafetensorsFile(path, tensors, { fold });
}

/**
 * Reads a part with the names that `like` has.
 *
 * @throws {Error} when it is of another fold, or damaged.
 */
export async function readPart(path: string, like: StageResult, fold: string): Promise<StageResult> {
  const file = await openSafetensors(path);
  try {
    if (file.metadata.fold !== fold) throw new Error("it is of another fold");
    const moments = await mapNames(like.moments, async (name, { width }) => ({
      width,
      count: (await numbers(file, `moments.${name}.count`, 1))[0]!,
      sum: await numbers(file, `moments.${name}.sum`, width),
      gram: await numbers(file, `moments.${name}.gram`, width * width),
    }));
    const crosses = await mapNames(like.crosses, async (name, { cross, sum }) => ({
      sum: await numbers(file, `crosses.${name}.sum`, sum.length),
      cross: await numbers(file, `crosses.${name}.cross`, cross.length),
    }));
    return { moments, crosses };
  } finally {
    await file.close();
  }
}

async function mapNames<T, R>(
  values: Readonly<Record<string, T>>,
  map: (name: string, value: T) => Promise<R>,
): Promise<Readonly<Record<string, R>>> {
  const found: Record<string, R> = {};
  for (const [name, value] of Object.entries(values)) found[name] = await map(name, value);
  return found;
}

async function numbers(file: SafetensorsFile, name: string, length: number): Promise<Float64Array> {
  const bytes = await file.readBytes(name);
  if (bytes.byteLength !== 8 * length)
    throw new Error(`expected ${length} numbers in ${name}, found ${bytes.byteLength} bytes`);
  // The copy aligns the numbers, whatever their offset in the memory that was read into.
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  return new Float64Array(aligned.buffer, aligned.byteOffset, length);
}
