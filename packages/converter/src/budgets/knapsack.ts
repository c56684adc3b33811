import type { TextBudget } from "./budget.js";
import { type Choice, cheapestChoices } from "./cheapest-choices.js";
import { damageTable } from "./damage-table.js";
import { createLossMeter, type LossMeter } from "./loss-meter.js";
import { type OriginalLayer, originalLayers } from "./original-layers.js";
import type { RankGrid } from "./rank-grid.js";

/**
 * Ranks tried in each layer, as multiples of the uniform one. The last two matter where little is kept: at 1/8 prose-6m's
 * first layer wants 2.5 times the uniform rank, and ends 1.7 % worse in perplexity without them.
 */
const FACTORS = [1 / 4, 1 / 2, 3 / 4, 1, 5 / 4, 3 / 2, 2, 3, 4];

/** Each layer's damage is measured alone, and their sum made least. */
export const knapsack: TextBudget = {
  name: "knapsack",
  summary: "the ranks whose measured single-layer damage adds up to least (runs the model many times)",
  reference: "docs/method.md, Budgets",
  needsText: true,
  async allocate(context) {
    const { grid } = context;
    const meter = await createLossMeter(context);
    const tables: (readonly Choice[])[] = [];
    let whole: number | undefined;
    for await (const layer of originalLayers(context)) {
      whole ??= (await meter.measure(layer, [layer.block]))[0]!;
      tables.push(damageTable(await measureLayer(meter, layer, grid, whole), grid.full));
    }
    return cheapestChoices(tables, grid.total).map(({ units }) => grid.layer(units));
  },
};

/** What folding this layer alone costs, at each of the ranks that are tried. */
async function measureLayer(
  meter: LossMeter,
  layer: OriginalLayer,
  grid: RankGrid,
  whole: number,
): Promise<readonly Choice[]> {
  const candidates = candidateUnits(grid);
  if (candidates.length === 0) return [];
  const variants = await Promise.all(candidates.map((units) => layer.fold(grid.layer(units))));
  const losses = await meter.measure(layer, variants);
  return candidates.map((units, index) => ({ units, damage: losses[index]! - whole }));
}

/** Ascending, without doubles; a whole layer needs no measuring. */
function candidateUnits({ uniform, full }: RankGrid): readonly number[] {
  const units = FACTORS.map((factor) => Math.max(1, Math.round(factor * uniform)));
  return [...new Set(units)].filter((count) => count < full);
}
