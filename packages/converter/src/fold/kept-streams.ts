import type { HiddenStates } from "@kvfold/calibration";
import type { FoldJournal, JournalStream } from "../journal/fold-journal.js";
import type { StreamPosition } from "./calibrator.js";

/** The streams of hidden states as a fold's journal has them; nothing where there is no journal. */
export interface KeptStreams {
  /** Blocks that the streams are behind already. */
  readonly blocks: number;
  /** Where a stream goes on, or `undefined` where it starts from the embedding. */
  resume(stream: JournalStream): StreamPosition | undefined;
  /** Keeps a stream as it is behind a block, unless that is the last: nothing follows. */
  save(layer: number, stream: JournalStream, states: HiddenStates): Promise<void>;
}

export declare namespace keptStreams {
  interface Options {
    readonly journal?: FoldJournal | undefined;
    readonly plan: { readonly layers: readonly unknown[] };
  }
}

export function keptStreams({ journal, plan }: keptStreams.Options): KeptStreams {
  const blocks = journal?.blocks ?? 0;
  return {
    blocks,
    resume: (stream) =>
      journal === undefined || blocks === 0
        ? undefined
        : { blocks, restore: (states) => journal.restoreStream(stream, states) },
    async save(layer, stream, states) {
      if (layer + 1 < plan.layers.length) await journal?.saveStream(layer, stream, states);
    },
  };
}
