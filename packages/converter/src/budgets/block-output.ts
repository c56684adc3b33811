import { type HiddenStates, memoryHiddenStates } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import { HIDDEN_IN } from "@kvfold/decoder/graph";
import { createWindowRunner } from "../fold/window-runner.js";
import { type BlockOutput, blockGraph } from "../graph/calibration-graphs.js";
import type { TextBudgetContext } from "./budget.js";
import type { OriginalLayer } from "./original-layers.js";

/** One of the streams that a block makes of the layer's input. */
export async function blockOutput(
  { checkpoint, provider, signal }: TextBudgetContext,
  { windows, input }: OriginalLayer,
  weights: BlockWeights,
  output: BlockOutput,
): Promise<HiddenStates> {
  const runner = createWindowRunner({ windows, provider, signal });
  const stream = await memoryHiddenStates(windows.length, 0);
  const window = { config: checkpoint.config, weights, length: runner.length };
  await runner.run(blockGraph(window, [], [output]), {
    inputs: { [HIDDEN_IN]: input },
    outputs: { [output]: stream },
  });
  return stream;
}
