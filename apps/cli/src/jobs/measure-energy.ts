import type { StageMoments } from "@kvfold/calibration";
import { type FoldPlan, planFold, type Tap } from "@kvfold/converter";
import { type LostEnergy, lostEnergy } from "@kvfold/converter/internals";
import type { Checkpoint, ModelConfig } from "@kvfold/decoder";
import { energyShares, type Moments, secondMoment, sliceMoments, symmetricEigenvalues } from "@kvfold/linalg";
import { nodeProvider } from "@kvfold/runtime-node";
import type { JobContext } from "./job.js";
import { measureLayers } from "./measure-layers.js";

/** Shares of the directions that are looked at. */
export const ENERGY_FRACTIONS: readonly number[] = [0.125, 0.25, 0.5];

/** Share of the energy in the top directions of one layer, for each of the fractions. */
export interface LayerEnergy {
  readonly layer: number;
  /** `null` for models that do not rotate keys. */
  readonly keysBeforeRope: readonly number[] | null;
  readonly keys: readonly number[];
  readonly values: readonly number[];
  /** What latents lose that keep as large a part of the cache. */
  readonly lost: LostEnergy;
}

/** Energies of all layers, and the plan whose latents they are measured for. */
export interface MeasuredEnergy {
  readonly plan: FoldPlan;
  readonly layers: readonly LayerEnergy[];
}

/**
 * Figure 1 of arXiv 2406.07056: for each layer, how much of the energy (the eigenvalues of the second moment, which
 * is not centred, of all heads side by side) lies in the top directions of keys before and after RoPE, and of values. And how
 * much of it the joint latents of the method `anchored` lose.
 */
export async function measureEnergy(
  checkpoint: Checkpoint,
  windows: readonly Int32Array[],
  context: JobContext,
  fractions: readonly number[] = ENERGY_FRACTIONS,
): Promise<MeasuredEnergy> {
  const { config } = checkpoint;
  const { layers: total } = config.shape;
  const plan = planFold(config, { keep: "1/2", method: "anchored" });
  const turns = config.blocks.some(({ attention }) => attention.rope !== undefined);
  const taps: readonly Tap[] = turns ? ["keysAndValues", "keys"] : ["keysAndValues"];
  let runs = 0;
  const layers = await measureLayers(
    {
      checkpoint,
      windows,
      taps,
      provider: nodeProvider(),
      onWindow: () =>
        context.onProgress({ label: "measure", done: Math.max(0, ++runs / windows.length - 1), total }),
      keep: (moments, layer) => layerEnergy({ config, plan, layer, moments, fractions }),
    },
    context,
  );
  return { plan, layers };
}

interface MeasuredLayer {
  readonly config: ModelConfig;
  readonly plan: FoldPlan;
  readonly layer: number;
  readonly moments: StageMoments;
  readonly fractions: readonly number[];
}

function layerEnergy({ moments, ...measured }: MeasuredLayer): LayerEnergy {
  const keysAndValues = moments.keysAndValues!;
  const half = keysAndValues.width / 2;
  const { fractions } = measured;
  const early = sharesOf(sliceMoments(keysAndValues, 0, half), fractions);
  const values = sharesOf(sliceMoments(keysAndValues, half, 2 * half), fractions);
  const keys = moments.keys === undefined ? early : sharesOf(moments.keys, fractions);
  return {
    layer: measured.layer,
    keysBeforeRope: moments.keys === undefined ? null : early,
    keys,
    values,
    lost: lostEnergy({ ...measured, keysAndValues, kept: { keys, values } }),
  };
}

const sharesOf = (moments: Moments, fractions: readonly number[]): readonly number[] =>
  energyShares(symmetricEigenvalues(secondMoment(moments)), fractions);
