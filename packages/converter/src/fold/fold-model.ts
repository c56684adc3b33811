import type { HiddenStatesFactory, StageMoments } from "@kvfold/calibration";
import type { Checkpoint, EmbeddingWeights, ModelOutput } from "@kvfold/decoder";
import { loadEmbedding, loadHead } from "@kvfold/decoder";
import { type AbortSignalLike, type SessionProvider, throwIfAborted } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import type { FoldJournal } from "../journal/fold-journal.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { requireSettled } from "../plan/require-settled.js";
import { inBackground } from "./background.js";
import { type BlockMath, inlineBlockMath } from "./block-math.js";
import type { FoldedLayer, Retained } from "./fold-layer.js";
import { layerContext } from "./group.js";
import { checkCalibration, type Measuring, startMeasuring } from "./measuring.js";
import type { FoldProgress } from "./progress.js";
import { type MeasuredBlock, type UpcomingBlocks, upcomingBlocks } from "./upcoming-blocks.js";

export declare namespace foldModel {
  interface Options {
    readonly checkpoint: Checkpoint;
    readonly plan: FoldPlan;
    readonly outputs: readonly ModelOutput[];
    /** Runs the blocks while calibrating and healing; methods without taps need none. */
    readonly provider?: SessionProvider | undefined;
    /** Calibration tokens, windows of one length. */
    readonly windows?: readonly Int32Array[] | undefined;
    /** Moments measured before, by layer: nothing is measured then, and windows serve healing alone. */
    readonly moments?: readonly StageMoments[] | undefined;
    readonly hiddenStates?: HiddenStatesFactory | undefined;
    /** Sees the moments of each layer as they are measured. */
    readonly onMoments?: ((layer: number, moments: StageMoments) => void) | undefined;
    /**
     * Keeps what is finished, and has what an earlier run of this fold finished: the fold goes on behind it, and the
     * outputs are as if it had never stopped.
     */
    readonly journal?: FoldJournal | undefined;
    /** Where the linear algebra runs: in this thread unless given. Not disposed here. */
    readonly math?: BlockMath | undefined;
    readonly onProgress?: ((progress: FoldProgress) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
  interface Report {
    /** By layer: share of the energy each group's basis keeps. */
    readonly retained: readonly Retained[];
  }
}

/**
 * Folds a checkpoint by its plan, a block at a time: load, run over the calibration windows, choose bases, fold, heal,
 * hand to the outputs, drop (docs/method.md, Block by block). Memory is two blocks (the next one is measured while the
 * last refit of this one is solved) and the hidden states, whatever the model's size.
 *
 * @throws {ConverterError} `insufficient-data` when the plan needs calibration and neither windows nor moments are
 * given, `invalid-option` when its budget is not settled, `unusable-journal` when `onMoments` is given and the journal
 * was kept without.
 * @throws {RuntimeError} `aborted` when `signal` fires; outputs are then unfinished.
 */
export async function foldModel(options: foldModel.Options): Promise<foldModel.Report> {
  const { checkpoint, outputs } = options;
  try {
    requireSettled(options.plan);
    checkCalibration(options);
    checkJournal(options);
    const embedding = await loadEmbedding(checkpoint);
    for (const output of outputs) await output.begin(embedding);
    const replayed = await replayBlocks(options);
    const retained = [...replayed, ...(await foldBlocks(options, embedding, replayed.length))];
    const head = await loadHead(checkpoint);
    for (const output of outputs) await output.finish(head);
    return { retained };
  } catch (error) {
    // One that fails to close must neither hide what went wrong nor keep the others open.
    await Promise.allSettled(outputs.map((output) => output.abandon()));
    throw error;
  }
}

/** Whether moments are measured, for someone who wants to see them. */
const showsMoments = ({ plan, moments, onMoments }: foldModel.Options): boolean =>
  plan.taps.length > 0 && moments === undefined && onMoments !== undefined;

function checkJournal(options: foldModel.Options): void {
  const { journal } = options;
  if (journal === undefined || journal.hasMoments || !showsMoments(options)) return;
  throw new ConverterError(
    "unusable-journal",
    `${journal.name} was kept without the moments of its blocks; go on without keeping moments, or remove it to start over`,
  );
}

/** Hands what earlier runs finished to the outputs, as if it had just been folded. */
async function replayBlocks({ journal, outputs, onMoments, signal }: foldModel.Options) {
  const replayed: Retained[] = [];
  for (let layer = 0; journal !== undefined && layer < journal.blocks; layer++) {
    throwIfAborted(signal);
    const { block, retained, moments } = await journal.readBlock(layer);
    if (moments !== undefined) onMoments?.(layer, moments);
    for (const output of outputs) await output.addBlock(block);
    replayed.push(retained);
  }
  return replayed;
}

async function foldBlocks(options: foldModel.Options, embedding: EmbeddingWeights, first: number) {
  const { layers } = options.checkpoint.config.shape;
  if (first === layers) return [];
  const measuring = await startMeasuring(options, embedding);
  const upcoming = upcomingBlocks(options.checkpoint, measuring, first);
  const retained: Retained[] = [];
  try {
    for (let layer = first; layer < layers; layer++) {
      throwIfAborted(options.signal);
      retained.push(await foldBlock(options, layer, measuring, upcoming));
      measuring.progress.block(layer);
    }
  } finally {
    await measuring.dispose();
  }
  return retained;
}

/** The order of a block's steps; what runs elsewhere in the meantime is docs/method.md's schedule. */
async function foldBlock(
  options: foldModel.Options,
  layer: number,
  measuring: Measuring,
  upcoming: UpcomingBlocks,
): Promise<Retained> {
  const { block, moments } = await upcoming.take();
  const folding = inBackground(startFolding(options, layer, { block, moments }));
  const folded = inBackground(folding.then(({ attention }) => ({ ...block, attention })));
  const prepared = await measuring.advance(layer, block, folded);
  const healed = await measuring.heal(layer, prepared, upcoming.meanwhile);
  const { retained } = await folding;
  for (const output of options.outputs) await output.addBlock(healed);
  await options.journal?.saveBlock(layer, {
    block: healed,
    retained,
    moments: showsMoments(options) ? moments : undefined,
  });
  return retained;
}

function startFolding(
  { plan, math = inlineBlockMath }: foldModel.Options,
  layer: number,
  { block: { attention }, moments }: MeasuredBlock,
): Promise<FoldedLayer> {
  const context = layerContext(plan, { layer, attention, moments });
  return math.run("foldLayer", { ...context, method: plan.method, plan: plan.layers[layer]! });
}
