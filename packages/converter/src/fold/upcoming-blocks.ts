import type { StageMoments } from "@kvfold/calibration";
import type { BlockWeights, Checkpoint } from "@kvfold/decoder";
import { loadBlock } from "@kvfold/decoder";
import type { Meanwhile } from "./meanwhile.js";
import type { Measuring } from "./measuring.js";

/** A block as it is, and what its method wants to know of it. */
export interface MeasuredBlock {
  readonly block: BlockWeights;
  readonly moments: StageMoments;
}

/** The blocks of a model in order, measured one ahead where there is time. */
export interface UpcomingBlocks {
  /** The next block: at once where `meanwhile` was done. */
  take(): Promise<MeasuredBlock>;
  /** Loads and measures the block behind the one taken last, if there is one. */
  readonly meanwhile: Meanwhile;
}

/** Blocks from `first` on. */
export function upcomingBlocks(checkpoint: Checkpoint, measuring: Measuring, first: number): UpcomingBlocks {
  const { layers } = checkpoint.config.shape;
  let layer = first;
  let glimpse: { block: BlockWeights; attention: StageMoments } | undefined;
  let measured: MeasuredBlock | undefined;
  const measureAttention = async () => {
    if (layer === layers) return;
    const block = await loadBlock(checkpoint, layer);
    glimpse = { block, attention: await measuring.measureAttention(layer, block) };
  };
  const measureProjections = async () => {
    if (glimpse === undefined) return;
    const { block, attention } = glimpse;
    glimpse = undefined;
    measured = { block, moments: await measuring.measureProjections(layer, block, attention) };
    layer++;
  };
  return {
    async take() {
      if (measured === undefined) {
        await measureAttention();
        await measureProjections();
      }
      const taken = measured!;
      measured = undefined;
      return taken;
    },
    meanwhile: { measureAttention, measureProjections },
  };
}
