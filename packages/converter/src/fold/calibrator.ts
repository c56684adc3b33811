import { type HiddenStates, type StageMoments, tokenFeeds } from "@kvfold/calibration";
import type { ModelConfig } from "../checkpoint/read-config.js";
import {
  blockGraph,
  embeddingGraph,
  HIDDEN_IN,
  HIDDEN_OUT,
  RESIDUAL_OUT,
  sensitivityGraph,
} from "../graph/calibration-graphs.js";
import { isAttentionTap, type Tap, tapWidth } from "../graph/taps.js";
import type { BlockWeights, EmbeddingWeights } from "../model/decoder-weights.js";
import { createWindowRunner, type WindowRun, type WindowRunner } from "./window-runner.js";

/** Takes a model's hidden states down its blocks and measures each block on the way. */
export interface Calibrator {
  readonly runner: WindowRunner;
  /** Runs the next block over all windows; blocks come in order. Returns the moments of the taps. */
  measure(block: BlockWeights): Promise<StageMoments>;
  /** The stream behind the block measured last. */
  readonly hidden: HiddenStates;
  /** The stream between the halves of the block measured last, where it was asked for. */
  readonly residual: HiddenStates | undefined;
  dispose(): Promise<void>;
}

/** Windows that attention taps are measured on: their statistics are a few numbers per head, and slow to get. */
const ATTENTION_WINDOWS = 16;

export declare namespace startCalibration {
  interface Options extends WindowRun {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly taps: readonly Tap[];
    /** What healing needs of the original model besides its moments: the streams of every block. */
    readonly streams?: "moments" | "targets";
  }
}

/** Embeds the windows. Memory from here on: one block's weights and the hidden states. */
export async function startCalibration(options: startCalibration.Options): Promise<Calibrator> {
  const { config, windows, taps, streams = "moments" } = options;
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
    const residual = streams === "targets" ? await createStream() : undefined;
    const embedding = embeddingGraph(config, options.embedding, runner.length);
    await runner.run(embedding, { feeds: tokenFeeds(windows), outputs: { [HIDDEN_OUT]: hidden } });
    let layer = 0;
    const measure = (weights: BlockWeights) => {
      const last = ++layer === layers && streams === "moments";
      return measureBlock({ runner, config, weights, taps, hidden, residual, last });
    };
    return { runner, hidden, residual, measure, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

interface BlockRun {
  readonly runner: WindowRunner;
  readonly config: ModelConfig;
  readonly weights: BlockWeights;
  readonly taps: readonly Tap[];
  readonly hidden: HiddenStates;
  readonly residual: HiddenStates | undefined;
  /** Nothing follows this block, so its output is not needed. */
  readonly last: boolean;
}

async function measureBlock({
  runner,
  config,
  weights,
  taps,
  hidden,
  residual,
  last,
}: BlockRun): Promise<StageMoments> {
  const window = { config, weights, length: runner.length };
  const inputs = { [HIDDEN_IN]: hidden };
  const sizes = (names: readonly Tap[]) =>
    names.map((name) => ({ name, size: tapWidth(name, config.shape) }));
  const attentionTaps = taps.filter(isAttentionTap);
  const projectionTaps = taps.filter((tap) => !isAttentionTap(tap));

  const attention =
    attentionTaps.length === 0
      ? {}
      : (
          await runner.run(sensitivityGraph(window, attentionTaps), {
            inputs,
            moments: sizes(attentionTaps),
            limit: ATTENTION_WINDOWS,
          })
        ).moments;
  if (last && projectionTaps.length === 0) return attention;
  const outputs = {
    ...(last ? {} : { [HIDDEN_OUT]: hidden }),
    ...(residual && { [RESIDUAL_OUT]: residual }),
  };
  const graph = blockGraph(
    window,
    projectionTaps,
    Object.keys(outputs) as (typeof HIDDEN_OUT | typeof RESIDUAL_OUT)[],
  );
  const { moments } = await runner.run(graph, { inputs, outputs, moments: sizes(projectionTaps) });
  return { ...moments, ...attention };
}
