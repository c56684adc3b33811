import type { HiddenStates, StageMoments } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import type { Retained } from "../methods/retained.js";

/** The hidden states that go down side by side: the original model's, and the folded one's where it is healed. */
export type JournalStream = "original" | "folded";

/** All that is kept of a block once it is folded and healed. */
export interface FinishedBlock {
  readonly block: BlockWeights;
  readonly retained: Retained;
  /** Present where whoever folds wants to see the moments of each layer. */
  readonly moments?: StageMoments | undefined;
}

/**
 * What a fold has finished, block by block, so that another run of the same fold can go on from there. The finished
 * blocks and the streams after the last of them are the whole state of a fold.
 *
 * A stop at any moment leaves a journal that is complete up to some block: `saveBlock` is what counts a block as
 * finished, and it is called once the streams after the block are saved.
 */
export interface FoldJournal {
  /** For messages: where it lies, e.g. its folder. */
  readonly name: string;
  /** Finished blocks: `0` to `blocks - 1`. */
  readonly blocks: number;
  /** Whether all of them were saved with their moments. */
  readonly hasMoments: boolean;
  readBlock(layer: number): Promise<FinishedBlock>;
  /** Fills `states` with a stream as it is after the last finished block. */
  restoreStream(stream: JournalStream, states: HiddenStates): Promise<void>;
  /** Keeps a stream as it is after block `layer`, which is not finished yet. */
  saveStream(layer: number, stream: JournalStream, states: HiddenStates): Promise<void>;
  /** Counts block `layer` as finished; streams after earlier blocks are not needed any more. */
  saveBlock(layer: number, finished: FinishedBlock): Promise<void>;
}
