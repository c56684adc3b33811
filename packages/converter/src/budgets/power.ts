import { inBackground } from "../fold/background.js";
import { layerContext } from "../fold/group.js";
import { requireSavings } from "../fold/layer-savings.js";
import type { TextBudget } from "./budget.js";
import { originalLayers } from "./original-layers.js";
import { residualPower } from "./residual-power.js";
import { unitSavings, unitsByGreatestSavings } from "./unit-savings.js";

/** Windows that savings are measured on: shares of a spectrum need fewer than the bases themselves. */
const SPECTRUM_WINDOWS = 16;

/**
 * kvfold's own: a further rank goes where it saves most of the squared error of a layer's output, relative to the power of
 * the residual stream that the output is added to. The method knows the savings from its moments, so no fold is tried.
 */
export const power: TextBudget = {
  name: "power",
  summary: "ranks where they save most of the layers' output errors, relative to the residual stream",
  reference: "docs/method.md, Budgets",
  needsText: true,
  leastTokens: 1,
  async allocate(context) {
    const { plan, grid, method, math } = context;
    requireSavings(method);
    const windows = context.windows.slice(0, SPECTRUM_WINDOWS);
    const { layersAtOnce = 1 } = math;
    const layers: Promise<Float64Array>[] = [];
    for await (const layer of originalLayers({ ...context, windows })) {
      const input = { ...layerContext(plan, layer), method: plan.method, plan: plan.layers[layer.layer]! };
      const savings = inBackground(math.run("layerSavings", input));
      if (layersAtOnce === 1) await savings;
      // Savings by the loss are in nats, one unit for all layers.
      const power = plan.metric === "loss" ? 1 : await residualPower(context, layer);
      layers.push(inBackground(savings.then((found) => unitSavings(found, grid, power))));
      await layers.at(-layersAtOnce);
    }
    return unitsByGreatestSavings(await Promise.all(layers), grid).map(grid.layer);
  },
};
