import { type HiddenStates, memoryHiddenStates } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import { createWindowRunner } from "../fold/window-runner.js";
import { blockGraph, HIDDEN_IN, HIDDEN_OUT } from "../graph/calibration-graphs.js";
import type { TextBudgetContext } from "./budget.js";
import type { OriginalLayer } from "./original-layers.js";

/** The relative error `|out - reference| / |reference|` (Frobenius) of a layer's output with another block in its place. */
export type OutputError = (variant: BlockWeights) => Promise<number>;

/** Runs the original block on the layer's input, to compare others with. */
export async function createOutputError(
  { checkpoint, provider, signal }: TextBudgetContext,
  { block, windows, input }: OriginalLayer,
): Promise<OutputError> {
  const runner = createWindowRunner({ windows, provider, signal });
  const outputOf = async (weights: BlockWeights) => {
    const output = await memoryHiddenStates(windows.length, 0);
    const window = { config: checkpoint.config, weights, length: runner.length };
    await runner.run(blockGraph(window, [], [HIDDEN_OUT]), {
      inputs: { [HIDDEN_IN]: input },
      outputs: { [HIDDEN_OUT]: output },
    });
    return output;
  };
  const reference = await outputOf(block);
  return async (variant) => relativeError(await outputOf(variant), reference);
}

async function relativeError(output: HiddenStates, reference: HiddenStates): Promise<number> {
  let [difference, size] = [0, 0];
  for (let window = 0; window < reference.windows; window++) {
    const [actual, expected] = [await output.read(window), await reference.read(window)];
    for (let i = 0; i < expected.length; i++) {
      difference += (actual[i]! - expected[i]!) ** 2;
      size += expected[i]! ** 2;
    }
  }
  return size > 0 ? Math.sqrt(difference / size) : 0;
}
