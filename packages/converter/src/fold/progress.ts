/** What a fold is doing. */
export type FoldStep = "embed" | "measure" | "heal" | "write";

/**
 * One step forward. `done` of `total` counts over the whole fold: windows that went through a graph, or written blocks
 * where no text is needed.
 */
export interface FoldProgress {
  readonly step: FoldStep;
  readonly layer: number;
  readonly done: number;
  readonly total: number;
}

/** Counts what a fold does, under the step and layer that were started last. */
export interface ProgressCount {
  /** What follows belongs to this step. */
  start(step: FoldStep, layer: number): void;
  /** A window went through a graph. */
  window(): void;
  /** A block is written. */
  block(layer: number): void;
}

/** The size of a fold in windows that go through graphs, or in blocks where no graph runs. */
export interface FoldSize {
  readonly unit: "window" | "block";
  readonly total: number;
  /** What an earlier run finished. */
  readonly finished: number;
}

/** A count from `finished` to `total`. */
export function countProgress(
  { unit, total, finished }: FoldSize,
  onProgress: ((progress: FoldProgress) => void) | undefined,
): ProgressCount {
  let step: FoldStep = "embed";
  let layer = 0;
  let done = finished;
  const report = () => onProgress?.({ step, layer, done, total });
  const start = (next: FoldStep, at: number) => {
    step = next;
    layer = at;
  };
  return {
    start,
    window() {
      done++;
      report();
    },
    block(at) {
      start("write", at);
      if (unit === "block") done++;
      report();
    },
  };
}
