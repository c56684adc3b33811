import type { LoadProgress } from "./web-model-source.js";

/** Counts bytes, and says so at a bearable pace. */
export interface LoadMeter {
  expect(totalBytes: number | undefined): void;
  /** No bytes at all: the end of a file. */
  add(count: number, stage: LoadProgress["stage"], file: string): void;
}

/** Often enough for a smooth bar; chunks come every millisecond. */
const INTERVAL_MS = 50;

/** A meter that reports to `onProgress`. */
export function createLoadMeter(onProgress: ((progress: LoadProgress) => void) | undefined): LoadMeter {
  let loadedBytes = 0;
  let expected: number | undefined;
  let reportedAt = Number.NEGATIVE_INFINITY;
  return {
    expect(totalBytes) {
      expected = totalBytes;
    },
    add(count, stage, file) {
      loadedBytes += count;
      const now = performance.now();
      if (count > 0 && now - reportedAt < INTERVAL_MS) return;
      reportedAt = now;
      const totalBytes = expected === undefined ? undefined : Math.max(expected, loadedBytes);
      onProgress?.({ stage, file, loadedBytes, totalBytes });
    },
  };
}
