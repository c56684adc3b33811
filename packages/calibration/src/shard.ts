import { CalibrationError } from "./calibration-error.js";

/** Shard `index` of `count`, counted from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** A shard as it is typed: `3/16`. */
export const shardName = ({ index, count }: Shard): string => `${index}/${count}`;

/** Windows `[start, end)` of a text. */
export interface WindowRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The windows of a shard: all shards together have each window of a text once, and differ by one at most.
 *
 * @throws {CalibrationError} `too-few-tokens` when there are fewer windows than shards.
 * @example
 * ```ts
 * import { shardWindows } from "@kvfold/calibration";
 * shardWindows({ index: 2, count: 3 }, 7); // => { start: 2, end: 4 }
 * ```
 */
export function shardWindows({ index, count }: Shard, windows: number): WindowRange {
  if (count > windows)
    throw new CalibrationError(
      "too-few-tokens",
      `shard ${shardName({ index, count })}: the text has ${windows} windows; give more text or windows, or split it into ${windows} shards at most`,
    );
  const bound = (shard: number) => Math.floor((shard * windows) / count);
  return { start: bound(index - 1), end: bound(index) };
}
