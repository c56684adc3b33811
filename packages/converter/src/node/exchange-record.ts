import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Shard, shardName } from "@kvfold/calibration";
import { z } from "zod";
import { ConverterError } from "../converter-error.js";
import { readIfThere, recordFile } from "./exchange-files.js";
import { writeBytes } from "./journal-files.js";
import { pidOf, processTag, stateOf } from "./process-tag.js";

const recordSchema = z.object({
  token: z.string(),
  process: z.string().nullable(),
  finished: z.number(),
});

/** What a shard says of itself in an exchange. */
export interface ShardRecord {
  /** Of the process that works on it now: a later one takes its place. */
  readonly token: string;
  /** Tag of that process, none once it has ended by itself. */
  readonly process: string | null;
  /** Blocks whose sums it would not ask for again. */
  readonly finished: number;
}

/** What a shard last said; nothing where it was never started. */
export async function readRecord(folder: string, shard: number): Promise<ShardRecord | undefined> {
  const text = await readIfThere(folder, recordFile(shard));
  if (text === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ConverterError(
      "unusable-exchange",
      `${join(folder, recordFile(shard))} is damaged; remove ${folder} and start all shards again`,
      { cause },
    );
  }
}

/** This process's record of its shard. */
export interface OwnRecord {
  readonly finished: number;
  /** Says that so many blocks are finished; fewer than before are taken for as many as before. */
  finish(blocks: number): Promise<void>;
  /** Makes sure that no other process has taken the shard over. */
  requireOwn(): Promise<void>;
  /** Says that this process has ended. */
  close(): Promise<void>;
}

/**
 * Takes over a shard. What an earlier process said of it still holds.
 *
 * @throws {ConverterError} `unusable-exchange` when a process of this machine works on it.
 */
export async function takeShard(folder: string, shard: Shard): Promise<OwnRecord> {
  const found = await readRecord(folder, shard.index);
  if (found?.process != null && stateOf(found.process) === "running")
    throw new ConverterError(
      "unusable-exchange",
      `shard ${shardName(shard)} is folded already by process ${pidOf(found.process)} in ${folder}; give each process a shard of its own`,
    );
  const token = randomBytes(8).toString("hex");
  let record: ShardRecord = { token, process: processTag(), finished: found?.finished ?? 0 };
  const write = async (next: ShardRecord) => {
    record = next;
    await writeBytes(join(folder, recordFile(shard.index)), `${JSON.stringify(next)}\n`);
  };
  await write(record);
  const isOwn = async () => (await readRecord(folder, shard.index))?.token === token;
  const requireOwn = async () => {
    if (await isOwn()) return;
    throw new ConverterError(
      "unusable-exchange",
      `shard ${shardName(shard)} was started again by another process, or ${folder} was removed; this process ends`,
    );
  };
  return {
    get finished() {
      return record.finished;
    },
    async finish(blocks) {
      await requireOwn();
      await write({ ...record, finished: Math.max(blocks, record.finished) });
    },
    requireOwn,
    async close() {
      // Where another process has taken over, or the whole exchange is gone, there is nothing to say.
      if (record.process !== null && (await isOwn())) await write({ ...record, process: null });
    },
  };
}
