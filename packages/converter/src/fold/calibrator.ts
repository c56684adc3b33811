import type { HiddenStates, StageMoments } from "@kvfold/calibration";
import type { BlockWeights, EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import { type BlockWindow, HIDDEN_IN, HIDDEN_OUT, windowEmbedding } from "@kvfold/decoder/graph";
import {
  BLOCK_IN,
  measuredBlockGraph,
  mlpGraph,
  RESIDUAL_OUT,
  sensitivityGraph,
} from "../graph/calibration-graphs.js";
import { isAttentionTap, isProjectionTap, type Tap } from "../graph/taps.js";
import { embedWindows } from "./embed-windows.js";
import { ATTENTION_WINDOWS } from "./measure-steps.js";
import { createWindowRunner, type WindowRun, type WindowRunner } from "./window-runner.js";

/** Takes the original model's hidden states down its blocks, each in two steps, and measures each block on the way. */
export interface Calibrator {
  /** The hidden states before the next block; inside the block from `measure` to `advance`. */
  readonly hidden: HiddenStates;
  /** The hidden states between the halves of the block measured last, until `advance`; none of the last block. */
  readonly between: HiddenStates;
  /** The moments of the next block. */
  measure(block: BlockWeights): Promise<StageMoments>;
  /** Runs the rest of the block measured last. */
  advance(block: BlockWeights): Promise<void>;
  dispose(): Promise<void>;
}

export declare namespace startCalibration {
  interface Options extends WindowRun {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly taps: readonly Tap[];
  }
}

/**
 * Embeds the windows, to measure a model and no more: the last block runs no further than to its taps. Memory from here
 * on: one block's weights and the hidden states, twice for models with parallel blocks.
 */
export async function startCalibration(options: startCalibration.Options): Promise<Calibrator> {
  const { config, taps } = options;
  const runner = createWindowRunner(options);
  const hidden = await runner.createStream(config.shape.hiddenSize);
  const isParallel = config.blocks.some(({ arrangement }) => arrangement === "parallel");
  const between = isParallel ? await runner.createStream(config.shape.hiddenSize) : hidden;
  const dispose = async () => {
    await hidden.dispose();
    if (isParallel) await between.dispose();
  };
  try {
    await embedWindows(runner, config, windowEmbedding(options), hidden);
  } catch (error) {
    await dispose();
    throw error;
  }
  const windowOf = (weights: BlockWeights) => ({ config, weights, length: runner.length });
  let layer = -1;
  const isLast = () => layer === config.shape.layers - 1;
  return {
    hidden,
    between,
    async measure(weights) {
      layer++;
      const window = windowOf(weights);
      const attention = await measureAttention(runner, window, taps, hidden);
      const output = isLast() ? undefined : between;
      return { ...attention, ...(await measureProjections(runner, window, taps, { hidden, output })) };
    },
    async advance(weights) {
      if (isLast()) return;
      const block = weights.arrangement === "parallel" ? { [BLOCK_IN]: hidden } : {};
      const inputs = { [HIDDEN_IN]: between, ...block };
      await runner.run(mlpGraph(windowOf(weights)), { inputs, outputs: { [HIDDEN_OUT]: hidden } });
    },
    dispose,
  };
}

async function measureAttention(
  runner: WindowRunner,
  window: BlockWindow,
  taps: readonly Tap[],
  hidden: HiddenStates,
): Promise<StageMoments> {
  const wanted = taps.filter(isAttentionTap);
  if (wanted.length === 0) return {};
  const { model, ...sums } = sensitivityGraph(window, wanted);
  const inputs = { [HIDDEN_IN]: hidden };
  return (await runner.run(model, { inputs, ...sums, limit: ATTENTION_WINDOWS })).moments;
}

/** Also runs the attention half, where there is a stream for it to go to. */
async function measureProjections(
  runner: WindowRunner,
  window: BlockWindow,
  taps: readonly Tap[],
  { hidden, output }: { readonly hidden: HiddenStates; readonly output: HiddenStates | undefined },
): Promise<StageMoments> {
  const wanted = taps.filter(isProjectionTap);
  if (wanted.length === 0 && output === undefined) return {};
  const outputs = output === undefined ? {} : { [RESIDUAL_OUT]: output };
  const { model, ...sums } = measuredBlockGraph(window, wanted, output === undefined ? [] : [RESIDUAL_OUT]);
  return (await runner.run(model, { inputs: { [HIDDEN_IN]: hidden }, outputs, ...sums })).moments;
}
