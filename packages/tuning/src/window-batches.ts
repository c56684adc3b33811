import type { ModelConfig } from "@kvfold/decoder";

/** Queries that attend at once on a GPU: fewer would be more launches, and more would compute what no query sees. */
export const DEVICE_QUERIES = 512;
/** Numbers of the hidden states that go through a block at once: a GPU is busy with as many, and scratch memory stays small. */
const HIDDEN_AT_ONCE = 2 ** 24;
/** Bytes of the largest matrix of scores, those of the queries that attend at once; WebGPU binds less than 2 GiB. */
const SCORE_BYTES = 2 ** 30;
const FLOAT_BYTES = 4;

/** Windows that go through a block of a model at once on a GPU. */
export function windowsAtOnce({ shape, blocks }: ModelConfig, length: number): number {
  const heads = Math.max(...blocks.map(({ attention }) => attention.heads));
  const byHidden = HIDDEN_AT_ONCE / (length * shape.hiddenSize);
  const byScores = SCORE_BYTES / (FLOAT_BYTES * DEVICE_QUERIES * heads * length);
  return Math.max(1, Math.floor(Math.min(byHidden, byScores)));
}

/** Windows in batches of at most so many, all but the last of one size. */
export function batchesOf<T>(windows: readonly T[], most: number): readonly (readonly T[])[] {
  const size = Math.ceil(windows.length / Math.ceil(windows.length / most));
  return Array.from({ length: Math.ceil(windows.length / size) }, (_, index) =>
    windows.slice(index * size, (index + 1) * size),
  );
}
