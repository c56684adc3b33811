import { memoryHiddenStates } from "@kvfold/calibration";
import { createWindowRunner } from "../fold/window-runner.js";
import { blockGraph, HIDDEN_IN, RESIDUAL_OUT } from "../graph/calibration-graphs.js";
import type { TextBudgetContext } from "./budget.js";
import type { OriginalLayer } from "./original-layers.js";

/** The mean of `|x|^2` over tokens, `x [D]` the original's residual stream after the layer's attention. */
export async function residualPower(
  { checkpoint, provider, signal }: TextBudgetContext,
  { block, windows, input }: OriginalLayer,
): Promise<number> {
  const runner = createWindowRunner({ windows, provider, signal });
  const stream = await memoryHiddenStates(windows.length, 0);
  const window = { config: checkpoint.config, weights: block, length: runner.length };
  await runner.run(blockGraph(window, [], [RESIDUAL_OUT]), {
    inputs: { [HIDDEN_IN]: input },
    outputs: { [RESIDUAL_OUT]: stream },
  });
  let sum = 0;
  for (let index = 0; index < windows.length; index++)
    for (const value of await stream.read(index)) sum += value ** 2;
  return sum / (windows.length * runner.length);
}
