import type { BlockWeights } from "@kvfold/decoder";
import type { JournalStream } from "../journal/fold-journal.js";

/** The hidden states of one model at one place, over all calibration windows. */
export interface Stream {
  readonly model: JournalStream;
  /**
   * `before` the block, `between` its halves, the `head outputs` that `W_O` reads, or the `activations` that the MLP's last
   * projection reads.
   */
  readonly place: "before" | "between" | "head outputs" | "activations";
  /** What leaves a block is what the next one reads: the states after the last block are `before` block `L`. */
  readonly layer: number;
}

/** The name of a stream; different streams have different names. */
export const streamName = ({ model, place, layer }: Stream): string => `${model} ${place} ${layer}`;

/** Numbers of a stream per token, by the block that writes it. */
export function streamWidth({ place }: Stream, { attention, mlp }: BlockWeights): number {
  if (place === "head outputs") return attention.output.inputs;
  return place === "activations" ? mlp.down.inputs : attention.output.outputs;
}
