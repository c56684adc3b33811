import type { Shard, ShardExchange } from "@kvfold/calibration";
import { type FolderExchange, openExchange } from "@kvfold/converter/node";
import { readVersion } from "../version.js";
import type { JobContext } from "./job.js";

/** How several processes fold together. */
export interface Spread {
  /** The part of the windows that this one runs. */
  readonly shard: Shard;
  /** A folder that all see. */
  readonly folder: string;
  /** How long to wait for the part of another shard; an hour unless given. */
  readonly timeoutSeconds?: number | undefined;
}

/** Opens the exchange of a shared fold, where it is one. */
export async function openSpread(
  spread: Spread | undefined,
  about: Pick<openExchange.Options, "checkpoint" | "plan" | "windows" | "moments">,
  { signal }: JobContext,
): Promise<FolderExchange | undefined> {
  if (spread === undefined) return undefined;
  return openExchange({ ...spread, ...about, version: readVersion(), signal });
}

/** Whether this process puts the output in its place: it folds alone, or is the first of several. */
export const writesOutput = (exchange: Pick<ShardExchange, "shard"> | undefined): boolean =>
  exchange === undefined || exchange.shard.index === 1;
