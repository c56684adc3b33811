import type { HiddenStates } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import { HIDDEN_OUT } from "@kvfold/decoder/graph";
import { blockOutput } from "./block-output.js";
import type { TextBudgetContext } from "./budget.js";
import type { OriginalLayer } from "./original-layers.js";

/** The relative error `|out - reference| / |reference|` (Frobenius) of a layer's output with another block in its place. */
export type OutputError = (variant: BlockWeights) => Promise<number>;

/** Runs the original block on the layer's input, to compare others with. */
export async function createOutputError(
  context: TextBudgetContext,
  layer: OriginalLayer,
): Promise<OutputError> {
  const outputOf = (weights: BlockWeights) => blockOutput(context, layer, weights, HIDDEN_OUT);
  const reference = await outputOf(layer.block);
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
