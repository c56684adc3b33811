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
  /** What comes is of this step. */
  start(step: FoldStep, layer: number): void;
  /** A window went through a graph. */
  window(): void;
  /** A block is written. */
  block(layer: number): void;
}

export declare namespace countProgress {
  interface Options {
    readonly plan: { readonly layers: readonly unknown[] };
    readonly onProgress?: ((progress: FoldProgress) => void) | undefined;
  }
}

/**
 * A count that is complete with `windowRuns` windows, or with all blocks where there are none; `finished` of them were
 * counted in an earlier run.
 */
export function countProgress(
  { plan, onProgress }: countProgress.Options,
  windowRuns: number,
  finished = 0,
): ProgressCount {
  const total = windowRuns === 0 ? plan.layers.length : windowRuns;
  let step: FoldStep = "embed";
  let layer = 0;
  let done = finished;
  const tell = () => onProgress?.({ step, layer, done, total });
  const start = (next: FoldStep, at: number) => {
    step = next;
    layer = at;
  };
  return {
    start,
    window() {
      done++;
      tell();
    },
    block(at) {
      start("write", at);
      if (windowRuns === 0) done++;
      tell();
    },
  };
}
