import type { HiddenStatesFactory, StageMoments } from "@kvfold/calibration";
import { type AbortSignalLike, type SessionProvider, throwIfAborted } from "@kvfold/runtime";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { loadBlock, loadEmbedding, loadHead } from "../checkpoint/load-weights.js";
import type { BlockWeights, EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { type FoldedBlock, foldBlock } from "./fold-block.js";
import { checkCalibration, startMeasuring } from "./measuring.js";

/** Takes the folded model a block at a time; ONNX graphs and checkpoints are such outputs. */
export interface ModelOutput {
  begin(embedding: EmbeddingWeights): Promise<void>;
  addBlock(block: BlockWeights): Promise<void>;
  finish(head: HeadWeights): Promise<void>;
  /** Closes what is open, in place of `finish`, when the fold failed. What is written stays: its folder is the caller's. */
  abandon(): Promise<void>;
}

/** What a fold is doing. */
export type FoldStep = "embed" | "measure" | "fold" | "heal" | "write";

/** One step forward; `done` of `total` counts windows while measuring and healing, else blocks. */
export interface FoldProgress {
  readonly step: FoldStep;
  readonly layer: number;
  readonly done: number;
  readonly total: number;
}

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
    readonly onProgress?: ((progress: FoldProgress) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
  interface Report {
    /** By layer: share of the energy each group's basis keeps. */
    readonly retained: readonly FoldedBlock["retained"][];
  }
}

/**
 * Folds a checkpoint by its plan, a block at a time: load, run over the calibration windows, choose bases, fold, heal,
 * hand to the outputs, drop (docs/method.md, Block by block). Memory is one block and the hidden states, whatever the model's
 * size.
 *
 * @throws {ConverterError} `insufficient-data` when the plan needs calibration and neither windows nor moments are
 * given.
 * @throws {RuntimeError} `aborted` when `signal` fires; outputs are then unfinished.
 */
export async function foldModel(options: foldModel.Options): Promise<foldModel.Report> {
  const { checkpoint, outputs } = options;
  checkCalibration(options);
  const embedding = await loadEmbedding(checkpoint);
  try {
    for (const output of outputs) await output.begin(embedding);
    const retained = await foldBlocks(options, embedding);
    const head = await loadHead(checkpoint);
    for (const output of outputs) await output.finish(head);
    return { retained };
  } catch (error) {
    for (const output of outputs) await output.abandon();
    throw error;
  }
}

async function foldBlocks(options: foldModel.Options, embedding: EmbeddingWeights) {
  const { checkpoint, outputs, onProgress, signal } = options;
  const { layers } = checkpoint.config.shape;
  const measuring = await startMeasuring(options, embedding);
  const retained: FoldedBlock["retained"][] = [];
  try {
    for (let layer = 0; layer < layers; layer++) {
      throwIfAborted(signal);
      const block = await loadBlock(checkpoint, layer);
      const moments = await measuring.measure(layer, block);
      const folded = foldLayer(options, layer, block, moments);
      const healed = await measuring.heal(layer, folded.weights);
      for (const output of outputs) await output.addBlock(healed);
      retained.push(folded.retained);
      onProgress?.({ step: "write", layer, done: layer + 1, total: layers });
    }
  } finally {
    await measuring.dispose();
  }
  return retained;
}

function foldLayer(
  { checkpoint, plan, onProgress }: foldModel.Options,
  layer: number,
  block: BlockWeights,
  moments: StageMoments,
): FoldedBlock {
  onProgress?.({ step: "fold", layer, done: layer, total: plan.layers.length });
  const { positions } = checkpoint.config.family;
  const context = { layer, seed: plan.seed, moments, outputBias: plan.bias === "free" };
  return foldBlock(block, plan.method, plan.layers[layer]!, context, positions);
}
