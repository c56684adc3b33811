import { type HiddenStates, memoryHiddenStates } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import { loadBlock, loadEmbedding, loadHead } from "@kvfold/decoder";
import { HIDDEN_IN, HIDDEN_OUT } from "@kvfold/decoder/graph";
import { type ModelSource, Tensor } from "@kvfold/runtime";
import { headGraph, LOSS, NEXT_TOKENS } from "@kvfold/tuning";
import { createWindowRunner, type WindowRunner } from "../fold/window-runner.js";
import { blockGraph } from "../graph/calibration-graphs.js";
import type { BudgetContext, TextBudgetContext } from "./budget.js";
import type { OriginalLayer } from "./original-layers.js";

/** Makes a variant of a block. */
export type MakeVariant = () => Promise<BlockWeights>;

/** Measures what the model loses when one of its blocks is another. */
export interface LossMeter {
  /**
   * For each variant of the layer's block: mean nll in nats per token, all other blocks as they are. A variant is made when
   * it is run, after the one before has been dropped.
   */
  measure(layer: OriginalLayer, variants: readonly MakeVariant[]): Promise<readonly number[]>;
}

/**
 * A meter that runs each variant of a block on the layer's input, and then every later block once over the streams of all
 * variants. In memory: the layer's block and one variant of it, or one later block; the head; and those streams.
 */
export async function createLossMeter(context: TextBudgetContext): Promise<LossMeter> {
  const { checkpoint, provider, hiddenStates, signal } = context;
  const { config } = checkpoint;
  const head = headGraph({
    config,
    embedding: await loadEmbedding(checkpoint),
    head: await loadHead(checkpoint),
    loss: "text",
  });
  return {
    async measure(layer, variants) {
      const { windows } = layer;
      // The windows of the first variant, then those of the second, and so on.
      const repeated = variants.flatMap(() => windows);
      const runner = createWindowRunner({ windows: repeated, provider, hiddenStates, signal });
      const hidden = await runner.createStream(config.shape.hiddenSize);
      const run = { runner, hidden, blockOf: blockGraphs(context, runner.length) };
      try {
        await runVariants(run, layer, variants);
        await runAfter(run, context, layer.layer + 1);
        const losses = await runHead(run, head, repeated);
        return variants.map((_, index) =>
          mean(losses.slice(index * windows.length, (index + 1) * windows.length)),
        );
      } finally {
        await hidden.dispose();
      }
    },
  };
}

interface LossRun {
  readonly runner: WindowRunner;
  /** One stream over the windows of all variants. */
  readonly hidden: HiddenStates;
  readonly blockOf: (weights: BlockWeights) => ModelSource;
}

const blockGraphs =
  ({ checkpoint }: BudgetContext, length: number) =>
  (weights: BlockWeights): ModelSource =>
    blockGraph({ config: checkpoint.config, weights, length }, [], [HIDDEN_OUT]);

async function runVariants(
  { runner, hidden, blockOf }: LossRun,
  { windows, input }: OriginalLayer,
  variants: readonly MakeVariant[],
): Promise<void> {
  for (const [index, make] of variants.entries()) {
    await runner.run(blockOf(await make()), {
      inputs: { [HIDDEN_IN]: input },
      outputs: { [HIDDEN_OUT]: sectionOf(hidden, index * windows.length, windows.length) },
      limit: windows.length,
    });
  }
}

async function runAfter(
  { runner, hidden, blockOf }: LossRun,
  { checkpoint }: BudgetContext,
  first: number,
): Promise<void> {
  for (let layer = first; layer < checkpoint.config.shape.layers; layer++) {
    const graph = blockOf(await loadBlock(checkpoint, layer));
    await runner.run(graph, { inputs: { [HIDDEN_IN]: hidden }, outputs: { [HIDDEN_OUT]: hidden } });
  }
}

/** Mean nll of each window. */
async function runHead(
  { runner, hidden }: LossRun,
  head: ModelSource,
  windows: readonly Int32Array[],
): Promise<readonly number[]> {
  const { length } = runner;
  const losses = await memoryHiddenStates(windows.length, 1);
  const feeds = async (index: number) => {
    const states = await hidden.read(index);
    const width = states.length / length;
    const next = BigInt64Array.from(windows[index]!.subarray(1), BigInt);
    return {
      // The last token predicts nothing that is known.
      [HIDDEN_IN]: new Tensor("float32", states.subarray(0, -width), [1, length - 1, width]),
      [NEXT_TOKENS]: new Tensor("int64", next, [1, next.length]),
    };
  };
  await runner.run(head, { feeds, outputs: { [LOSS]: losses } });
  return Promise.all(windows.map(async (_, index) => (await losses.read(index))[0]! / (length - 1)));
}

/** Windows `[start, start + count)` of a stream as a stream of their own. */
const sectionOf = (states: HiddenStates, start: number, count: number): HiddenStates => ({
  windows: count,
  read: (index) => states.read(start + index),
  write: (index, values) => states.write(start + index, values),
  dispose: async () => {},
});

const mean = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0) / values.length;
