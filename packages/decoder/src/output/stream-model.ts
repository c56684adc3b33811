import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { leaveWeights, loadBlock, loadEmbedding, loadHead } from "../checkpoint/load-weights.js";
import type { ModelOutput } from "./model-output.js";

/**
 * Hands a checkpoint to outputs a block at a time: memory is one block, whatever the model's size, and less for outputs
 * that take stored weights. When something fails, every output is abandoned.
 *
 * @param onBlock - Called when the outputs have a block.
 * @throws {DecoderError} when the checkpoint cannot be read, and whatever an output or `onBlock` throws.
 */
export async function streamModel(
  checkpoint: Checkpoint,
  outputs: readonly ModelOutput[],
  onBlock: (layer: number) => void = () => {},
): Promise<void> {
  const takers = outputs.filter(({ takesStored }) => takesStored);
  const readers = outputs.filter(({ takesStored }) => !takesStored);
  const stored = leaveWeights(checkpoint);
  /** Loads a part once in each form that an output takes. */
  const hand = async <Part>(
    leave: () => Promise<Part>,
    load: () => Promise<Part>,
    give: (output: ModelOutput, part: Part) => Promise<void>,
  ): Promise<void> => {
    for (const [group, open] of [
      [takers, leave],
      [readers, load],
    ] as const) {
      if (group.length === 0) continue;
      const part = await open();
      for (const output of group) await give(output, part);
    }
  };
  try {
    await hand(
      () => stored.embedding(),
      () => loadEmbedding(checkpoint),
      (output, part) => output.begin(part),
    );
    for (let layer = 0; layer < checkpoint.config.shape.layers; layer++) {
      await hand(
        () => stored.block(layer),
        () => loadBlock(checkpoint, layer),
        (output, part) => output.addBlock(part),
      );
      onBlock(layer);
    }
    await hand(
      () => stored.head(),
      () => loadHead(checkpoint),
      (output, part) => output.finish(part),
    );
  } catch (error) {
    await Promise.allSettled(outputs.map((output) => output.abandon()));
    throw error;
  }
}
