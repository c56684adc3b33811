import { type ModelMoments, mergeModelMoments, type Shard, shardName } from "@kvfold/calibration";
import { CliError } from "../cli-error.js";
import { clearStale } from "../files/clear-stale.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import { readMomentsDescription, readMomentsOf, writeMoments } from "../models/moments-files.js";
import type { JobContext } from "./job.js";
import { type OptionNames, requireKnown } from "./known-options.js";
import { parseShard } from "./shard.js";

export declare namespace mergeMomentFiles {
  interface Options {
    /** One file for each shard, in any order. */
    readonly files: readonly string[];
    /** The file to write. */
    readonly output: string;
    readonly existing?: Existing;
  }
  interface Result {
    readonly output: string;
    readonly shards: number;
    readonly windows: number;
    readonly layers: number;
  }
}

interface ShardFile {
  readonly path: string;
  readonly shard: Shard;
  /** What the file says of its text, without the shard. */
  readonly description: Readonly<Record<string, string>>;
}

const OPTIONS: OptionNames<mergeMomentFiles.Options> = { files: true, output: true, existing: true };

/**
 * Adds the moments of all shards of a text. Memory: two files.
 *
 * @throws {CliError} `malformed-file` for shards of different models, texts or methods; `usage` when some are missing, named
 * with what measures them again, or given twice.
 */
export async function mergeMomentFiles(
  given: mergeMomentFiles.Options,
  context: JobContext,
): Promise<mergeMomentFiles.Result> {
  const { files, output, existing = "refuse" } = requireKnown("mergeMomentFiles", given, OPTIONS);
  await clearStale(output, context);
  await checkFileTarget(output, existing);
  const parts = await Promise.all(files.map(readShardFile));
  requireOneText(parts);
  const shards = requireAll(parts);
  const { layers } = await addParts(shards, context);
  const { description } = shards[0]!;
  await writeMoments(output, layers, { description, existing });
  return { output, shards: shards.length, windows: Number(description.windows), layers: layers.length };
}

async function readShardFile(path: string): Promise<ShardFile> {
  const { shard: name, ...description } = await readMomentsDescription(path);
  const shard = name === undefined ? undefined : parseShard(name);
  if (shard !== undefined) return { path, shard, description };
  throw new CliError(
    "malformed-file",
    `${path} does not say which shard it is; name files that kvfold measure --shard wrote`,
  );
}

/** Makes sure that all shards are of one model and one text, cut into as many parts. */
function requireOneText(parts: readonly ShardFile[]): void {
  const [first, ...rest] = parts.map(({ path, shard, description }) => ({
    path,
    label: { ...description, shards: String(shard.count) } as Readonly<Record<string, string>>,
  }));
  for (const { path, label } of rest) {
    const was = first!.label;
    const field = Object.keys({ ...was, ...label }).find((name) => was[name] !== label[name]);
    if (field === undefined) continue;
    throw new CliError(
      "malformed-file",
      `${path} is of another measurement than ${first!.path}: ${field} is ${label[field]}, not ${was[field]}; merge the shards of one measurement`,
    );
  }
}

/** The shards in order, each once. */
function requireAll(parts: readonly ShardFile[]): readonly ShardFile[] {
  const { count } = parts[0]!.shard;
  const byIndex = new Map<number, ShardFile>();
  for (const part of parts) {
    const twin = byIndex.get(part.shard.index);
    if (twin !== undefined)
      throw new CliError(
        "usage",
        `${twin.path} and ${part.path} are both shard ${shardName(part.shard)}; name one of them`,
      );
    byIndex.set(part.shard.index, part);
  }
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter((index) => !byIndex.has(index));
  if (missing.length > 0) throw missingShards(missing, count);
  return [...byIndex.values()].toSorted((a, b) => a.shard.index - b.shard.index);
}

/** Names that a message shows. */
const SHOWN = 8;

function missingShards(missing: readonly number[], count: number): CliError {
  const names = missing.slice(0, SHOWN).map((index) => shardName({ index, count }));
  const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : "";
  const which = missing.length === 1 ? `shard ${names[0]} is` : `shards ${names.join(", ")}${more} are`;
  return new CliError(
    "usage",
    `${which} missing; measure again with --shard ${names[0]}, with the options of the others, and name that file too`,
  );
}

async function addParts(shards: readonly ShardFile[], context: JobContext): Promise<ModelMoments> {
  let total: ModelMoments | undefined;
  for (const [index, { path }] of shards.entries()) {
    context.onProgress({ label: `shard ${index + 1}/${shards.length}`, done: index, total: shards.length });
    const part = await readMomentsOf(path);
    total = total === undefined ? part : mergeModelMoments([total, part]);
  }
  return total!;
}
