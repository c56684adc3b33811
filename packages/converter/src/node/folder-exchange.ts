import { createHash } from "node:crypto";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Shard,
  type ShardExchange,
  type StageResult,
  type SumPlace,
  shardName,
} from "@kvfold/calibration";
import { throwIfAborted } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import {
  FOLD_FILE,
  isPartBefore,
  listExchange,
  partFile,
  readIfThere,
  readPart,
  settledFile,
  writePart,
} from "./exchange-files.js";
import { type OwnRecord, readRecord, takeShard } from "./exchange-record.js";
import { describeDifferences, type FoldIdentity, foldIdentity } from "./fold-identity.js";
import { isFirst } from "./is-first.js";
import { removeEmptyFolder, removeFiles, writeBytes } from "./journal-files.js";
import { pidOf, stateOf } from "./process-tag.js";
import { writeWholeFile } from "./whole-file.js";

/** An exchange through a folder. */
export interface FolderExchange extends ShardExchange {
  /** Ends a fold that is complete. The first shard waits a while until all have ended, and removes what is in the folder. */
  end(): Promise<void>;
  /** Lets another process take the shard over. Does nothing after `end`. */
  close(): Promise<void>;
}

export declare namespace openExchange {
  interface Options extends foldIdentity.Options {
    /** A folder that all processes see, empty at first; made where there is none. */
    readonly folder: string;
    readonly shard: Shard;
    /** How long to wait for the part of another shard; an hour unless given. */
    readonly timeoutSeconds?: number | undefined;
  }
}

/** The longest step of a large model takes minutes, and a job that starts again may wait in a queue. */
const TIMEOUT_SECONDS = 3600;
/** How often a shard looks whether a part is there: seldom enough for a file server that many shards ask. */
const LONGEST_PAUSE_SECONDS = 1;
const SHORTEST_PAUSE_SECONDS = 0.01;
/** How long the first shard waits for the others before it leaves the folder as it is. */
const END_SECONDS = 60;

/**
 * Opens the exchange of a fold through a folder of a shared file system. Each part is a file that appears complete, and stays
 * until every shard has finished the block: a shard that is started again finds what it asks for. So the folder holds the sums
 * of two blocks at most, `8 * W²` bytes a shard for those of rows of width `W`.
 *
 * @throws {ConverterError} `unusable-exchange` when the folder is that of another fold or number of shards, or holds something
 * else, or this shard is folded already; `shard-missing` from its methods when a part does not come in time.
 */
export async function openExchange(options: openExchange.Options): Promise<FolderExchange> {
  const { folder, shard } = options;
  const whole = await foldIdentity({ ...options, shard: undefined });
  const identity = { ...whole, shards: String(shard.count) };
  await mkdir(folder, { recursive: true });
  await claimFolder(folder, identity);
  const fold = createHash("sha256").update(JSON.stringify(identity)).digest("hex");
  return createExchange({ ...options, fold, record: await takeShard(folder, shard) });
}

/** Makes a folder that of a fold, or finds that it is. */
async function claimFolder(folder: string, identity: FoldIdentity): Promise<void> {
  const { own, foreign } = await listExchange(folder);
  if (foreign.length > 0 && !own.includes(FOLD_FILE))
    throw new ConverterError(
      "unusable-exchange",
      `${folder} holds ${foreign[0]}, which does not belong to an exchange; choose an empty folder`,
    );
  await writeWholeFile(join(folder, FOLD_FILE), `${JSON.stringify(identity, null, 2)}\n`).catch((error) => {
    if (!ConverterError.isInstance(error) || error.code !== "output-exists") throw error;
  });
  const found = JSON.parse((await readIfThere(folder, FOLD_FILE)) ?? "{}") as FoldIdentity;
  const differences = describeDifferences(found, identity);
  if (differences.length === 0) return;
  throw new ConverterError(
    "unusable-exchange",
    `${folder} is the exchange of another fold (${differences.join(", ")}); start all shards with one model, text and options, or remove that folder`,
  );
}

interface Work extends openExchange.Options {
  /** Tells the fold from others. */
  readonly fold: string;
  readonly record: OwnRecord;
}

function createExchange(work: Work): FolderExchange {
  const { folder, shard, plan, record } = work;
  let open = true;
  return {
    shard,
    async *parts(place, own) {
      requireKept(work, place);
      const { finished } = record;
      const path = (index: number) => join(folder, partFile(place, index));
      // A part that an earlier process of this shard wrote is what others may have added.
      const hasOwn = !(await isThere(path(shard.index)));
      if (hasOwn) await writePart(path(shard.index), own, work.fold);
      for (let index = 1; index <= shard.count; index++) {
        if (hasOwn && index === shard.index) {
          yield own;
          continue;
        }
        await waitFor(work, path(index), () => missingParts(work, place));
        yield await readOrRefuse(path(index), own, work.fold);
      }
      await dropParts(folder, shard, finished);
    },
    async settled<T>(name: string, find: () => Promise<T>): Promise<T> {
      const file = settledFile(name);
      if (isFirst(shard)) return settle(folder, file, find);
      await waitFor(work, join(folder, file), () => missingPlan(work, name));
      return JSON.parse((await readIfThere(folder, file))!) as T;
    },
    finish: (layer) => record.finish(layer + 1),
    async end() {
      open = false;
      await record.finish(plan.layers.length);
      await record.close();
      if (isFirst(shard) && (await allEnded(work))) await removeAll(folder);
    },
    async close() {
      if (open) await record.close();
      open = false;
    },
  };
}

/** What a shard settled before it was started again stands: others go by it. */
async function settle<T>(folder: string, file: string, find: () => Promise<T>): Promise<T> {
  const text = await readIfThere(folder, file);
  if (text !== undefined) return JSON.parse(text) as T;
  const found = await find();
  await writeBytes(join(folder, file), JSON.stringify(found));
  return found;
}

/** A shard that starts over cannot go on with others that are ahead: the parts of blocks that all had finished are gone. */
function requireKept({ folder, shard, record }: Work, { layer }: SumPlace): void {
  if (layer >= record.finished) return;
  throw new ConverterError(
    "unusable-exchange",
    `shard ${shardName(shard)} had finished ${record.finished} blocks and starts over at block ${layer}, whose sums are gone; remove ${folder} and start all shards again, with a journal (--resume) so that one can go on`,
  );
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Waits for a file of another shard. */
async function waitFor(
  { record, timeoutSeconds = TIMEOUT_SECONDS, signal }: Work,
  path: string,
  lost: () => Promise<ConverterError>,
): Promise<void> {
  const deadline = performance.now() + 1000 * timeoutSeconds;
  for (let pause = SHORTEST_PAUSE_SECONDS; ; pause = Math.min(1.5 * pause, LONGEST_PAUSE_SECONDS)) {
    throwIfAborted(signal);
    if (await isThere(path)) return;
    await record.requireOwn();
    if (performance.now() > deadline) throw await lost();
    await sleep(1000 * pause);
  }
}

async function readOrRefuse(path: string, like: StageResult, fold: string): Promise<StageResult> {
  try {
    return await readPart(path, like, fold);
  } catch (cause) {
    throw new ConverterError(
      "unusable-exchange",
      `${path} cannot be added (${(cause as Error).message}); remove its folder and start all shards again`,
      { cause },
    );
  }
}

/** Once all have handed in a part that comes after a block, all have finished that block. */
async function dropParts(folder: string, { index }: Shard, finished: number): Promise<void> {
  const { own } = await listExchange(folder);
  await removeFiles(
    folder,
    own.filter((name) => isPartBefore(name, index, finished)),
  );
}

async function missingParts(work: Work, place: SumPlace): Promise<ConverterError> {
  const { folder, shard } = work;
  const missing: number[] = [];
  for (let index = 1; index <= shard.count; index++)
    if (!(await isThere(join(folder, partFile(place, index))))) missing.push(index);
  return lostShards(work, missing, `part of block ${place.layer} (${place.step})`);
}

const missingPlan = (work: Work, name: string): Promise<ConverterError> => lostShards(work, [1], name);

/** Shards that a message describes. */
const SHOWN = 4;

async function lostShards(work: Work, missing: readonly number[], what: string): Promise<ConverterError> {
  const { folder, shard, timeoutSeconds = TIMEOUT_SECONDS } = work;
  const shown: string[] = [];
  for (const index of missing.slice(0, SHOWN))
    shown.push(`shard ${shardName({ ...shard, index })} (${await stateOfShard(folder, index)})`);
  if (missing.length > SHOWN) shown.push(`${missing.length - SHOWN} more`);
  return new ConverterError(
    "shard-missing",
    `${folder}: the ${what} did not come within ${timeoutSeconds} s from ${shown.join(", ")}; start it again with the same command, and so every shard that has ended, including this one (${shardName(shard)}): with a journal (--resume) all continue where they stopped`,
  );
}

async function stateOfShard(folder: string, index: number): Promise<string> {
  const record = await readRecord(folder, index);
  if (record === undefined) return "never started";
  const { process, finished } = record;
  const at = `${finished} blocks finished`;
  if (process === null) return `ended, ${at}`;
  const states = { running: "runs", ended: "has ended" };
  const state = stateOf(process);
  return state === "unknown"
    ? `on another machine, ${at}`
    : `process ${pidOf(process)} ${states[state]}, ${at}`;
}

/** Whether all shards have ended, or do so soon. */
async function allEnded({ folder, shard, plan, timeoutSeconds = TIMEOUT_SECONDS }: Work): Promise<boolean> {
  const deadline = performance.now() + 1000 * Math.min(timeoutSeconds, END_SECONDS);
  for (let index = 1; index <= shard.count; ) {
    const record = await readRecord(folder, index);
    if (record?.process === null && record.finished === plan.layers.length) index++;
    else if (performance.now() > deadline) return false;
    else await sleep(1000 * SHORTEST_PAUSE_SECONDS);
  }
  return true;
}

async function removeAll(folder: string): Promise<void> {
  const { own } = await listExchange(folder);
  await removeFiles(folder, own);
  await removeEmptyFolder(folder);
}
