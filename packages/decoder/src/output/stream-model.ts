import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { DecoderParts } from "../checkpoint/decoder-parts.js";
import { checkpointParts, leaveWeights } from "../checkpoint/load-weights.js";
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
  const streams = [
    { parts: leaveWeights(checkpoint), outputs: takers },
    { parts: checkpointParts(checkpoint), outputs: readers },
  ];
  await runStreams(
    streams.filter((stream) => stream.outputs.length > 0),
    checkpoint.config.shape.layers,
    onBlock,
  );
}

/**
 * Hands a decoder to outputs a block at a time, as {@link streamModel} does with a checkpoint. Weights come as numbers, also
 * to outputs that take stored ones.
 *
 * @throws whatever a part or an output throws; then every output is abandoned.
 */
export const streamParts = (parts: DecoderParts, outputs: readonly ModelOutput[]): Promise<void> =>
  runStreams([{ parts, outputs }], parts.config.shape.layers, () => {});

/** Outputs, and a model in the form that they take. */
interface Stream {
  readonly parts: DecoderParts;
  readonly outputs: readonly ModelOutput[];
}

async function runStreams(
  streams: readonly Stream[],
  layers: number,
  onBlock: (layer: number) => void,
): Promise<void> {
  /** Loads a part once in each form that an output takes. */
  const hand = async <Part>(
    load: (parts: DecoderParts) => Promise<Part>,
    give: (output: ModelOutput, part: Part) => Promise<void>,
  ): Promise<void> => {
    for (const { parts, outputs } of streams) {
      const part = await load(parts);
      for (const output of outputs) await give(output, part);
    }
  };
  try {
    await hand(
      (parts) => parts.embedding(),
      (output, part) => output.begin(part),
    );
    for (let layer = 0; layer < layers; layer++) {
      await hand(
        (parts) => parts.block(layer),
        (output, part) => output.addBlock(part),
      );
      onBlock(layer);
    }
    await hand(
      (parts) => parts.head(),
      (output, part) => output.finish(part),
    );
  } catch (error) {
    await Promise.allSettled(streams.flatMap(({ outputs }) => outputs.map((output) => output.abandon())));
    throw error;
  }
}
