import { resolve } from "node:path";
import type { Shard } from "@kvfold/calibration";
import { isFirst } from "./is-first.js";

/**
 * The path beside which a fold to `to` writes what is not finished: for shards that write no output, one of their own, so that
 * they do not look like others that write the same.
 */
export const shardPlace = (to: string, shard: Shard | undefined): string =>
  shard === undefined || isFirst(shard) ? to : `${resolve(to)}.shard-${shard.index}-of-${shard.count}`;
