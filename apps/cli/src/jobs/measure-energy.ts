import type { StageMoments } from "@kvfold/calibration";
import { spillingHiddenStates } from "@kvfold/calibration/node";
import type { Tap } from "@kvfold/converter";
import { startCalibration } from "@kvfold/converter/internals";
import { type Checkpoint, loadBlock, loadEmbedding } from "@kvfold/decoder";
import { energyShares, secondMoment, symmetricEigen } from "@kvfold/linalg";
import { throwIfAborted } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { sayInstead, UNNAMED_GRAPH } from "../files/say-instead.js";
import { withTemporaryFolder } from "../files/temporary-folder.js";
import type { JobContext } from "./job.js";

/** Shares of the directions that are looked at. */
export const ENERGY_FRACTIONS: readonly number[] = [0.125, 0.25, 0.5];

/** Share of the energy in the top directions of one layer, for each of `ENERGY_FRACTIONS`. */
export interface LayerEnergy {
  readonly layer: number;
  /** `null` for models that do not rotate keys. */
  readonly keysBeforeRope: readonly number[] | null;
  readonly keys: readonly number[];
  readonly values: readonly number[];
}

/**
 * Figure 1 of arXiv 2406.07056: for each layer, how much of the energy (the eigenvalues of the second moment, which
 * is not centred, of all heads side by side) lies in the top directions of keys before and after RoPE, and of values.
 */
export function measureEnergy(
  checkpoint: Checkpoint,
  windows: readonly Int32Array[],
  context: JobContext,
): Promise<readonly LayerEnergy[]> {
  return withTemporaryFolder(context, (folder) =>
    sayInstead([[UNNAMED_GRAPH, `a block of ${checkpoint.name}`]], () =>
      measureLayers(checkpoint, windows, folder, context),
    ),
  );
}

async function measureLayers(
  checkpoint: Checkpoint,
  windows: readonly Int32Array[],
  folder: string,
  { onProgress, signal }: JobContext,
): Promise<readonly LayerEnergy[]> {
  const { config } = checkpoint;
  const { layers } = config.shape;
  const taps: readonly Tap[] = config.blocks.some(({ attention }) => attention.rope !== undefined)
    ? ["keysBeforeRope", "keys", "values"]
    : ["keys", "values"];
  let runs = 0;
  const calibrator = await startCalibration({
    config,
    embedding: await loadEmbedding(checkpoint),
    windows,
    taps,
    provider: nodeProvider(),
    hiddenStates: spillingHiddenStates({ folder }),
    onWindow: () =>
      onProgress({ label: "measure", done: Math.max(0, ++runs / windows.length - 1), total: layers }),
    signal,
  });
  try {
    const energies: LayerEnergy[] = [];
    for (let layer = 0; layer < layers; layer++) {
      throwIfAborted(signal);
      const block = await loadBlock(checkpoint, layer);
      energies.push(layerEnergy(layer, await calibrator.measure(block)));
      await calibrator.advance(block);
    }
    return energies;
  } finally {
    await calibrator.dispose();
  }
}

function layerEnergy(layer: number, { keysBeforeRope, keys, values }: StageMoments): LayerEnergy {
  return {
    layer,
    keysBeforeRope: keysBeforeRope === undefined ? null : sharesOf(keysBeforeRope),
    keys: sharesOf(keys!),
    values: sharesOf(values!),
  };
}

const sharesOf = (moments: StageMoments[string]): readonly number[] =>
  energyShares(symmetricEigen(secondMoment(moments)).values, ENERGY_FRACTIONS);
