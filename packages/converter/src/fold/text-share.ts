import { type Shard, shardWindows } from "@kvfold/calibration";

/** The windows of a text that this process runs. */
export interface TextShare {
  readonly windows: readonly Int32Array[];
  /** Which window of the text they begin with. */
  readonly first: number;
}

/**
 * The windows of a shard; all of them without one.
 *
 * @throws {CalibrationError} `too-few-tokens` when there are fewer windows than shards.
 */
export function textShare(windows: readonly Int32Array[], shard: Shard | undefined): TextShare {
  if (shard === undefined || windows.length === 0) return { windows, first: 0 };
  const { start, end } = shardWindows(shard, windows.length);
  return { windows: windows.slice(start, end), first: start };
}

/** How many of `windows` windows, which are the text's from `first` on, are among its first `limit`; all without a limit. */
export const windowsWithin = (limit: number | undefined, windows: number, first: number): number =>
  limit === undefined ? windows : Math.min(Math.max(0, limit - first), windows);
