import { RESIDUAL_OUT } from "../graph/calibration-graphs.js";
import { blockOutput } from "./block-output.js";
import type { TextBudgetContext } from "./budget.js";
import type { OriginalLayer } from "./original-layers.js";

/** The mean of `|x|^2` over tokens, `x [D]` the original's residual stream after the layer's attention. */
export async function residualPower(context: TextBudgetContext, layer: OriginalLayer): Promise<number> {
  const { block, windows } = layer;
  const stream = layer.between ?? (await blockOutput(context, layer, block, RESIDUAL_OUT));
  let sum = 0;
  for (let index = 0; index < windows.length; index++)
    for (const value of await stream.read(index)) sum += value ** 2;
  return sum / (windows.length * windows[0]!.length);
}
