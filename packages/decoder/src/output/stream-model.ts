import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { loadBlock, loadEmbedding, loadHead } from "../checkpoint/load-weights.js";
import type { ModelOutput } from "./model-output.js";

/**
 * Hands a checkpoint to outputs a block at a time: memory is one block, whatever the model's size. When something fails,
 * every output is abandoned.
 *
 * @throws {DecoderError} when the checkpoint cannot be read, and whatever an output throws.
 */
export async function streamModel(checkpoint: Checkpoint, outputs: readonly ModelOutput[]): Promise<void> {
  try {
    const embedding = await loadEmbedding(checkpoint);
    for (const output of outputs) await output.begin(embedding);
    for (let layer = 0; layer < checkpoint.config.shape.layers; layer++) {
      const block = await loadBlock(checkpoint, layer);
      for (const output of outputs) await output.addBlock(block);
    }
    const head = await loadHead(checkpoint);
    for (const output of outputs) await output.finish(head);
  } catch (error) {
    await Promise.allSettled(outputs.map((output) => output.abandon()));
    throw error;
  }
}
