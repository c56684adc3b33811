import type { StageMoments } from "@kvfold/calibration";
import type { ModelConfig } from "../checkpoint/read-config.js";
import { ConverterError } from "../converter-error.js";
import type { BlockWeights, EmbeddingWeights } from "../model/decoder-weights.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { type Calibrator, startCalibration } from "./calibrator.js";
import type { FoldStep, foldModel } from "./fold-model.js";
import { startHealing } from "./healer.js";

/** What a fold learns from calibration text, block by block. */
export interface Measuring {
  /** The moments that the plan's method needs of the next block. */
  measure(layer: number, block: BlockWeights): Promise<StageMoments>;
  /** The folded block, refitted as the plan says. */
  heal(layer: number, folded: BlockWeights): Promise<BlockWeights>;
  dispose(): Promise<void>;
}

/** Sets up as much as the plan needs: nothing, moments from elsewhere, one stream of hidden states, or two. */
export async function startMeasuring(
  options: foldModel.Options,
  embedding: EmbeddingWeights,
): Promise<Measuring> {
  return needsText(options) ? measuring(options, embedding) : stored(options.moments ?? []);
}

/**
 * Refuses a fold that lacks calibration text, before anything is written.
 *
 * @throws {ConverterError} `insufficient-data` when the plan needs text and there is none.
 */
export function checkCalibration(options: foldModel.Options): void {
  if (needsText(options)) requireCalibration(options);
}

const needsText = ({ plan, moments }: foldModel.Options): boolean =>
  plan.heal !== "none" || (plan.taps.length > 0 && moments === undefined);

const stored = (moments: readonly StageMoments[]): Measuring => ({
  measure: async (layer) => moments[layer] ?? {},
  heal: async (_layer, folded) => folded,
  dispose: async () => {},
});

async function measuring(options: foldModel.Options, embedding: EmbeddingWeights): Promise<Measuring> {
  const { checkpoint, plan, moments, onMoments, hiddenStates, signal } = options;
  const { config } = checkpoint;
  const { windows, provider } = requireCalibration(options);
  const progress = windowProgress(options, windows.length);
  const calibrator = await startCalibration({
    config,
    embedding,
    windows,
    taps: moments === undefined ? plan.taps : [],
    streams: plan.heal === "none" ? "moments" : "targets",
    provider,
    hiddenStates,
    onWindow: () => progress.count(),
    signal,
  });
  const healer = await startHealer(plan, calibrator, config);
  return {
    async measure(layer, block) {
      progress.start("measure", layer);
      const measured = await calibrator.measure(block);
      if (moments !== undefined) return moments[layer] ?? {};
      onMoments?.(layer, measured);
      return measured;
    },
    async heal(layer, folded) {
      progress.start("heal", layer);
      return healer === undefined ? folded : healer.heal(folded);
    },
    async dispose() {
      await healer?.dispose();
      await calibrator.dispose();
    },
  };
}

async function startHealer({ heal, bias }: FoldPlan, calibrator: Calibrator, config: ModelConfig) {
  if (heal === "none") return undefined;
  try {
    return await startHealing({ config, calibrator, heal, bias });
  } catch (error) {
    await calibrator.dispose();
    throw error;
  }
}

function requireCalibration({ plan, windows, provider }: foldModel.Options) {
  if (windows !== undefined && windows.length > 0 && provider !== undefined) return { windows, provider };
  const purpose =
    plan.heal === "none" ? `method ${plan.method}` : `method ${plan.method} with heal ${plan.heal}`;
  throw new ConverterError("insufficient-data", `${purpose} needs calibration text; give token windows`);
}

/** Counts windows of whatever runs over them, under the step and layer that were started last. */
function windowProgress({ onProgress }: foldModel.Options, total: number) {
  let step: FoldStep = "embed";
  let layer = 0;
  let done = 0;
  return {
    start(next: FoldStep, at: number) {
      step = next;
      layer = at;
      done = 0;
    },
    count() {
      done++;
      onProgress?.({ step, layer, done, total: Math.max(total, done) });
    },
  };
}
