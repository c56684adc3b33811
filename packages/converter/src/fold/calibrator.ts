import { type HiddenStates, type StageMoments, tokenFeeds } from "@kvfold/calibration";
import type { BlockWeights, EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import type { BlockWindow } from "@kvfold/decoder/graph";
import {
  blockGraph,
  embeddingGraph,
  HIDDEN_IN,
  HIDDEN_OUT,
  mlpGraph,
  RESIDUAL_OUT,
  sensitivityGraph,
} from "../graph/calibration-graphs.js";
import { isAttentionTap, type Tap, tapWidth } from "../graph/taps.js";
import { createWindowRunner, type WindowRun, type WindowRunner } from "./window-runner.js";

/** Takes a model's hidden states down its blocks, each in two steps, and measures each block on the way. */
export interface Calibrator {
  readonly runner: WindowRunner;
  /** Measures the next block: both steps below. */
  measure(block: BlockWeights): Promise<StageMoments>;
  /** Measures what the next block's attention itself says, on a few windows; writes no stream. */
  measureAttention(block: BlockWeights): Promise<StageMoments>;
  /** Runs the attention half of that block over all windows; returns the moments of its projections. */
  measureProjections(block: BlockWeights): Promise<StageMoments>;
  /** Runs the other half of the block measured last. */
  advance(block: BlockWeights): Promise<void>;
  /** The stream before a block until `advance`, and behind it from then on. */
  readonly hidden: HiddenStates;
  /** The stream between the halves of the block measured last; `hidden` itself where only moments are wanted. */
  readonly residual: HiddenStates;
  dispose(): Promise<void>;
}

/** Windows that attention taps are measured on: their statistics are a few numbers per head, and slow to get. */
export const ATTENTION_WINDOWS = 16;

export declare namespace startCalibration {
  interface Options extends WindowRun {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly taps: readonly Tap[];
    /** What the streams are for: with `moments` alone the last block runs no further than its taps. */
    readonly streams?: "moments" | "targets";
    /** Where an earlier calibration stopped; at the embedding without it. */
    readonly resume?: StreamPosition | undefined;
  }
}

/** A stream behind some blocks, kept elsewhere. */
export interface StreamPosition {
  /** Blocks that it is behind. */
  readonly blocks: number;
  /** Fills `hidden` with it. */
  readonly restore: (hidden: HiddenStates) => Promise<void>;
}

/**
 * Embeds the windows, or goes on where an earlier calibration stopped. Memory from here on: one block's weights and the
 * hidden states, twice for `targets`.
 */
export async function startCalibration(options: startCalibration.Options): Promise<Calibrator> {
  const { config, taps, streams = "moments", resume } = options;
  const { hiddenSize, layers } = config.shape;
  const runner = createWindowRunner(options);
  const owned: HiddenStates[] = [];
  const createStream = async () => {
    const stream = await runner.createStream(hiddenSize);
    owned.push(stream);
    return stream;
  };
  const dispose = async () => {
    for (const stream of owned.splice(0)) await stream.dispose();
  };
  try {
    const hidden = await createStream();
    const residual = streams === "targets" ? await createStream() : hidden;
    await (resume === undefined ? embed(runner, options, hidden) : resume.restore(hidden));
    let layer = (resume?.blocks ?? 0) - 1;
    const isEnd = () => layer === layers - 1 && streams === "moments";
    const windowOf = (weights: BlockWeights) => ({ config, weights, length: runner.length });
    const attentionOf = (weights: BlockWeights) => measureAttention(runner, windowOf(weights), taps, hidden);
    const projectionsOf = async (weights: BlockWeights) => {
      layer++;
      return measureProjections(runner, windowOf(weights), taps, hidden, isEnd() ? undefined : residual);
    };
    return {
      runner,
      hidden,
      residual,
      measure: async (weights) => ({ ...(await attentionOf(weights)), ...(await projectionsOf(weights)) }),
      measureAttention: attentionOf,
      measureProjections: projectionsOf,
      async advance(weights) {
        if (isEnd()) return;
        const graph = mlpGraph({ config, weights, length: runner.length });
        await runner.run(graph, { inputs: { [HIDDEN_IN]: residual }, outputs: { [HIDDEN_OUT]: hidden } });
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function embed(
  runner: WindowRunner,
  { config, embedding, windows }: startCalibration.Options,
  hidden: HiddenStates,
): Promise<void> {
  const graph = embeddingGraph(config, embedding, runner.length);
  await runner.run(graph, { feeds: tokenFeeds(windows), outputs: { [HIDDEN_OUT]: hidden } });
}

async function measureAttention(
  runner: WindowRunner,
  window: BlockWindow,
  taps: readonly Tap[],
  hidden: HiddenStates,
): Promise<StageMoments> {
  const names = taps.filter(isAttentionTap);
  if (names.length === 0) return {};
  const { moments } = await runner.run(sensitivityGraph(window, names), {
    inputs: { [HIDDEN_IN]: hidden },
    moments: sizesOf(names, window),
    limit: ATTENTION_WINDOWS,
  });
  return moments;
}

/** Also runs the attention half, where there is a stream for it to go to. */
async function measureProjections(
  runner: WindowRunner,
  window: BlockWindow,
  taps: readonly Tap[],
  hidden: HiddenStates,
  residual: HiddenStates | undefined,
): Promise<StageMoments> {
  const names = taps.filter((tap) => !isAttentionTap(tap));
  if (names.length === 0 && residual === undefined) return {};
  const graph = blockGraph(window, names, residual === undefined ? [] : [RESIDUAL_OUT]);
  const { moments } = await runner.run(graph, {
    inputs: { [HIDDEN_IN]: hidden },
    outputs: residual === undefined ? {} : { [RESIDUAL_OUT]: residual },
    moments: sizesOf(names, window),
  });
  return moments;
}

const sizesOf = (taps: readonly Tap[], { config }: BlockWindow) =>
  taps.map((name) => ({ name, size: tapWidth(name, config.shape) }));
