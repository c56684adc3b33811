import { loadBlock } from "@kvfold/decoder";
import type { WeightBudget } from "./budget.js";
import { logConditionNumber } from "./condition-number.js";
import { progressiveUnits } from "./progressive-units.js";

/** LoRC's: the deeper a layer, the less it keeps, as far as condition numbers say. */
export const lorcProgressive: WeightBudget = {
  name: "lorc-progressive",
  summary: "less rank the deeper the layer, by cumulative condition numbers of W_K and W_V (no text)",
  reference: "arXiv 2410.03111",
  needsText: false,
  async allocate({ checkpoint, grid, onLayer }) {
    const conditions: number[] = [];
    for (let layer = 0; layer < grid.layers; layer++) {
      const { attention } = await loadBlock(checkpoint, layer);
      conditions.push(logConditionNumber(attention.key) + logConditionNumber(attention.value));
      onLayer(layer);
    }
    return progressiveUnits(conditions, grid).map(grid.layer);
  },
};
