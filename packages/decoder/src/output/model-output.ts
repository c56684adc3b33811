import type { BlockWeights, EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";

/** Takes a model a block at a time, in order; ONNX graphs and checkpoints are such outputs. */
export interface ModelOutput {
  /** Whether weights may come as `leaveWeights` gives them; else all come as numbers. */
  readonly takesStored?: boolean;
  begin(embedding: EmbeddingWeights): Promise<void>;
  addBlock(block: BlockWeights): Promise<void>;
  finish(head: HeadWeights): Promise<void>;
  /** Closes what is open, in place of `finish`, after a failure. The written files stay; their folder is the caller's. */
  abandon(): Promise<void>;
}
