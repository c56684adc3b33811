import { CliError } from "../cli-error.js";

/** Shard `index` of `count`, counted from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** A shard as it is typed: `3/16`. */
export const shardName = ({ index, count }: Shard): string => `${index}/${count}`;

const MAX_SHARDS = 100_000;

/** Reads `3/16`; nothing for any other text. */
export function parseShard(text: string): Shard | undefined {
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index === undefined || count === undefined) return undefined;
  return index >= 1 && index <= count && count <= MAX_SHARDS ? { index, count } : undefined;
}

/** Windows `[start, end)` of a shard: all shards together have each window once, and differ by one at most. */
export interface WindowRange {
  readonly start: number;
  readonly end: number;
}

/** @throws {CliError} `insufficient-text` when there are fewer windows than shards. */
export function shardWindows({ index, count }: Shard, windows: number): WindowRange {
  if (count > windows)
    throw new CliError(
      "insufficient-text",
      `--shard ${shardName({ index, count })}: the text has ${windows} windows; give more text or windows, or split it into ${windows} shards at most`,
    );
  const bound = (shard: number) => Math.floor((shard * windows) / count);
  return { start: bound(index - 1), end: bound(index) };
}
