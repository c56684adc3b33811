import type { StageMoments } from "@kvfold/calibration";
import type { BlockWeights, EmbeddingWeights } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import { isAttentionTap, type Tap } from "../graph/taps.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { inBackground } from "./background.js";
import { inlineBlockMath } from "./block-math.js";
import { ATTENTION_WINDOWS, type Calibrator, startCalibration } from "./calibrator.js";
import type { foldModel } from "./fold-model.js";
import { startHealing } from "./healer.js";
import { type KeptStreams, keptStreams } from "./kept-streams.js";
import type { Meanwhile } from "./meanwhile.js";
import { countProgress, type ProgressCount } from "./progress.js";

/**
 * What a fold learns from calibration text, block by block: `measureAttention`, `measureProjections`, `advance`, `heal` for
 * each.
 */
export interface Measuring {
  /** The moments that the plan's method needs of the next block's attention itself. */
  measureAttention(layer: number, block: BlockWeights): Promise<StageMoments>;
  /** All moments that it needs of the block, those of its attention among them. */
  measureProjections(layer: number, block: BlockWeights, attention: StageMoments): Promise<StageMoments>;
  /**
   * Takes the original model past the block measured last, and returns the folded one as healing starts from it; what
   * that takes is done as soon as it is folded.
   */
  advance(layer: number, block: BlockWeights, folding: Promise<BlockWeights>): Promise<BlockWeights>;
  /** The folded block, refitted as the plan says. */
  heal(layer: number, folded: BlockWeights, meanwhile: Meanwhile): Promise<BlockWeights>;
  readonly progress: ProgressCount;
  dispose(): Promise<void>;
}

/**
 * Sets up as much as the plan needs: nothing, moments from elsewhere, one stream of hidden states, or two. With a journal
 * it goes on behind the last finished block, and keeps the streams behind each block that it passes.
 */
export async function startMeasuring(
  options: foldModel.Options,
  embedding: EmbeddingWeights,
): Promise<Measuring> {
  return needsText(options) ? measuring(options, embedding) : stored(options);
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

const stored = (options: foldModel.Options): Measuring => ({
  progress: countProgress(options, 0, options.journal?.blocks),
  measureAttention: async () => ({}),
  measureProjections: async (layer) => options.moments?.[layer] ?? {},
  advance: (_layer, _block, folding) => folding,
  heal: (_layer, folded, meanwhile) => withoutHealing(folded, meanwhile),
  dispose: async () => {},
});

async function withoutHealing(
  folded: BlockWeights,
  { measureAttention, measureProjections }: Meanwhile,
): Promise<BlockWeights> {
  await measureAttention();
  await measureProjections();
  return folded;
}

async function measuring(options: foldModel.Options, embedding: EmbeddingWeights): Promise<Measuring> {
  const { checkpoint, plan, moments, onMoments, hiddenStates, signal } = options;
  const { config } = checkpoint;
  const streams = keptStreams(options);
  const { windows, provider } = requireCalibration(options);
  const taps = moments === undefined ? plan.taps : [];
  const runs = windowRuns(plan, taps, windows.length);
  const progress = countProgress(options, runs.total, runs.behind(streams.blocks));
  const calibrator = await startCalibration({
    config,
    embedding,
    windows,
    taps,
    streams: plan.heal === "none" ? "moments" : "targets",
    resume: streams.resume("original"),
    provider,
    hiddenStates,
    onWindow: () => progress.window(),
    signal,
  });
  const healer = await startHealer(options, calibrator, streams);
  return {
    progress,
    async measureAttention(layer, block) {
      progress.start("measure", layer);
      return calibrator.measureAttention(block);
    },
    async measureProjections(layer, block, attention) {
      progress.start("measure", layer);
      const measured = { ...attention, ...(await calibrator.measureProjections(block)) };
      if (moments !== undefined) return moments[layer] ?? {};
      onMoments?.(layer, measured);
      return measured;
    },
    async advance(layer, block, folding) {
      progress.start("measure", layer);
      const compared = await healer?.compareInputs(block);
      const prepared =
        healer === undefined || compared === undefined
          ? folding
          : inBackground(folding.then((folded) => healer.refitAttentionInputs(folded, compared)));
      await calibrator.advance(block);
      await streams.save(layer, "original", calibrator.hidden);
      return prepared;
    },
    async heal(layer, folded, meanwhile) {
      progress.start("heal", layer);
      if (healer === undefined) return withoutHealing(folded, meanwhile);
      const healed = await healer.heal(folded, meanwhile);
      await streams.save(layer, "folded", healer.folded);
      return healed;
    },
    async dispose() {
      await healer?.dispose();
      await calibrator.dispose();
    },
  };
}

async function startHealer(
  { checkpoint, plan, math = inlineBlockMath }: foldModel.Options,
  calibrator: Calibrator,
  streams: KeptStreams,
) {
  const { heal, bias } = plan;
  if (heal === "none") return undefined;
  try {
    const resume = streams.resume("folded");
    return await startHealing({ config: checkpoint.config, calibrator, heal, bias, math, resume });
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

/** How often a fold runs a window through a graph, with its embedding: in all, and up to the end of some blocks. */
function windowRuns({ layers, heal }: FoldPlan, taps: readonly Tap[], windows: number) {
  const sensitivity = taps.some(isAttentionTap) ? Math.min(ATTENTION_WINDOWS, windows) : 0;
  const perLayer = sensitivity + windows * (2 + HEALING_RUNS[heal]);
  const projections = taps.some((tap) => !isAttentionTap(tap));
  // The last block runs no further than to its taps where nothing is healed.
  const spared = heal === "none" ? windows * (projections ? 1 : 2) : 0;
  const behind = (blocks: number) => (blocks === 0 ? 0 : windows + blocks * perLayer);
  return { total: behind(layers.length) - spared, behind };
}

/** Graphs that healing runs over every window of a block (healer.ts). */
const HEALING_RUNS = { none: 0, attention: 4, both: 5 } as const;
