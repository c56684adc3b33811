import type { StageMoments } from "@kvfold/calibration";
import { spillingHiddenStates } from "@kvfold/calibration/node";
import { startCalibration } from "@kvfold/converter/internals";
import { type Checkpoint, loadBlock, loadEmbedding } from "@kvfold/decoder";
import { throwIfAborted } from "@kvfold/runtime";
import { sayInstead, UNNAMED_GRAPH } from "../files/say-instead.js";
import { withTemporaryFolder } from "../files/temporary-folder.js";
import type { JobContext } from "./job.js";

export declare namespace measureLayers {
  interface Options<T>
    extends Pick<startCalibration.Options, "windows" | "taps" | "provider" | "first" | "onWindow"> {
    readonly checkpoint: Checkpoint;
    /** Called before each layer. */
    readonly onLayer?: (layer: number) => void;
    /** What is kept of a layer's moments. */
    readonly keep: (moments: StageMoments, layer: number) => T;
  }
}

/**
 * Runs a model on windows of text, a layer at a time, and measures each layer. In memory: one block, and what is kept. Hidden
 * states lie in a temporary folder.
 */
export function measureLayers<T>(
  { checkpoint, onLayer, keep, ...options }: measureLayers.Options<T>,
  context: JobContext,
): Promise<readonly T[]> {
  const { config, name } = checkpoint;
  const { signal } = context;
  const measure = async (folder: string): Promise<readonly T[]> => {
    const embedding = await loadEmbedding(checkpoint);
    const hiddenStates = spillingHiddenStates({ folder });
    const calibrator = await startCalibration({ ...options, config, embedding, hiddenStates, signal });
    try {
      const layers: T[] = [];
      for (let layer = 0; layer < config.shape.layers; layer++) {
        throwIfAborted(signal);
        onLayer?.(layer);
        const block = await loadBlock(checkpoint, layer);
        layers.push(keep(await calibrator.measure(block), layer));
        await calibrator.advance(block);
      }
      return layers;
    } finally {
      await calibrator.dispose();
    }
  };
  return withTemporaryFolder(context, (folder) =>
    sayInstead([[UNNAMED_GRAPH, `a block of ${name}`]], () => measure(folder)),
  );
}
