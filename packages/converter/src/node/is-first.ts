import type { Shard } from "@kvfold/calibration";

/** Whether it is this shard that writes the output, or a process that folds alone. */
export const isFirst = (shard: Shard | undefined): boolean => shard === undefined || shard.index === 1;
