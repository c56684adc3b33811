import { type BlockWeights, type Checkpoint, checkpointParts } from "@kvfold/decoder";
import type { BlockPart } from "@kvfold/decoder/graph";
import type { AbortSignalLike, SessionOptions, SessionProvider } from "@kvfold/runtime";
import {
  type Adapter,
  createAdapters,
  createTrainer,
  type Loss,
  mergeAdapters,
  restoreState,
  type TrainingProgress,
  type TrainingReport,
  type TrainingSchedule,
  type TrainingState,
  train,
} from "@kvfold/tuning";
import type { FoldedModel } from "./open-folded.js";

/** How a folded model is tuned. */
export interface TuneSettings extends TrainingSchedule {
  /** Rank of the adapters. */
  readonly rank: number;
  /** The adapters' products are multiplied by `alpha / rank`. */
  readonly alpha: number;
  /** Which parts of the blocks have adapters. */
  readonly parts: readonly BlockPart[];
  readonly loss: Loss;
}

export declare namespace tuneModel {
  interface Options {
    readonly folded: FoldedModel;
    readonly original: Checkpoint;
    readonly settings: TuneSettings;
    /** Windows of one token more than the model reads. */
    readonly windows: readonly Int32Array[];
    readonly heldOut: readonly Int32Array[];
    readonly provider: SessionProvider;
    readonly session?: SessionOptions | undefined;
    /** Bytes of weights that may stay in memory; see `createTrainer`. */
    readonly residentBytes?: number | undefined;
    /** Bytes of the original's last hidden states that are kept; see `createTrainer`. */
    readonly originalBytes?: number | undefined;
    /** A saved state to go on from. */
    readonly saved?: Uint8Array | undefined;
    readonly onState?:
      | ((state: TrainingState, adapters: readonly (readonly Adapter[])[]) => Promise<void>)
      | undefined;
    readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
    /** Ends the training with the best until then; see `train`. */
    readonly enough?: AbortSignalLike | undefined;
  }
  interface Result {
    readonly report: TrainingReport;
    readonly adapters: readonly (readonly Adapter[])[];
    /** What the adapters' products are multiplied by. */
    readonly scale: number;
    /** A folded block with its adapters added. */
    readonly block: (layer: number) => Promise<BlockWeights>;
  }
}

/**
 * Trains adapters on a folded model, to predict what the original predicts or the text itself. In memory: a block of either
 * model (or what `residentBytes` allows), the adapters three times over, and the hidden states of the windows of a step.
 *
 * @throws {TuningError} `diverged`; `unusable-state` for a saved state that does not fit.
 * @throws {RuntimeError} `aborted` when `signal` fires.
 */
export async function tuneModel(options: tuneModel.Options): Promise<tuneModel.Result> {
  const { folded, original, settings, saved, onState } = options;
  const adapters = await adaptersOf(options);
  const state = saved && (await restoreState(saved, adapters));
  const scale = settings.alpha / settings.rank;
  const trainer = await createTrainer({
    ...options,
    model: folded,
    original: checkpointParts(original),
    adapters,
    scale,
    loss: settings.loss,
  });
  try {
    const keep = onState && ((reached: TrainingState) => onState(reached, adapters));
    const report = await train({ ...options, ...settings, trainer, adapters, state, onState: keep });
    const block = async (layer: number) => mergeAdapters(await folded.block(layer), adapters[layer]!, scale);
    return { report, adapters, scale, block };
  } finally {
    await trainer.dispose();
  }
}

async function adaptersOf({ folded, settings }: tuneModel.Options): Promise<readonly (readonly Adapter[])[]> {
  const adapters: (readonly Adapter[])[] = [];
  for (let layer = 0; layer < folded.plan.layers.length; layer++)
    adapters.push(createAdapters(await folded.block(layer), layer, settings));
  return adapters;
}
