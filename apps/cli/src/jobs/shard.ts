import type { Shard } from "@kvfold/calibration";

const MAX_SHARDS = 100_000;

/** Reads `3/16`; nothing for any other text. */
export function parseShard(text: string): Shard | undefined {
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index === undefined || count === undefined) return undefined;
  return index >= 1 && index <= count && count <= MAX_SHARDS ? { index, count } : undefined;
}
