import type { TextBudget, TextBudgetContext } from "./budget.js";
import { type Choice, cheapestChoices } from "./cheapest-choices.js";
import { damageTable } from "./damage-table.js";
import { createLossMeter, type LossMeter } from "./loss-meter.js";
import { type OriginalLayer, originalLayers } from "./original-layers.js";
import { type RankItem, rankItems } from "./rank-items.js";

/**
 * Ranks tried, as multiples of the uniform one. The last two matter where little is kept: at 1/8 prose-6m's first layer
 * wants 2.5 times the uniform rank, and ends 1.7 % worse in perplexity without them.
 */
const FACTORS = [1 / 4, 1 / 2, 3 / 4, 1, 5 / 4, 3 / 2, 2, 3, 4];

/**
 * The damage of each layer, or of each side of one where they may differ, is measured by itself, and the sum of all made
 * least.
 */
export const knapsack: TextBudget = {
  name: "knapsack",
  summary: "the ranks whose measured single-layer damage adds up to least (runs the model many times)",
  reference: "docs/method.md, Budgets",
  needsText: true,
  async allocate(context) {
    const { checkpoint, plan, method, grid } = context;
    const { items, total, layer } = rankItems(plan, method, checkpoint.config.shape, grid);
    const chosen = await cheapestChoices(await measureItems(context, items), total, context.signal);
    return plan.layers.map((_, index) =>
      layer(items.map(({ cost }, item) => chosen[index * items.length + item]!.units / cost)),
    );
  },
};

/** For each item of each layer, in order, what every rank of it costs, in units of the total. */
async function measureItems(
  context: TextBudgetContext,
  items: readonly RankItem[],
): Promise<readonly (readonly Choice[])[]> {
  const meter = await createLossMeter(context);
  const tables: (readonly Choice[])[] = [];
  let whole: number | undefined;
  for await (const layer of originalLayers(context)) {
    whole ??= (await meter.measure(layer, [async () => layer.block]))[0]!;
    for (const item of items) {
      const table = damageTable(await measureItem(meter, layer, item, whole), item.full);
      tables.push(table.map(({ units, damage }) => ({ units: units * item.cost, damage })));
    }
  }
  return tables;
}

/** What folding this item of a layer alone costs, at each of the ranks that are tried. */
async function measureItem(
  meter: LossMeter,
  layer: OriginalLayer,
  item: RankItem,
  whole: number,
): Promise<readonly Choice[]> {
  const candidates = candidateUnits(item);
  if (candidates.length === 0) return [];
  const variants = candidates.map((units) => () => layer.fold(item.alone(units)));
  const losses = await meter.measure(layer, variants);
  return candidates.map((units, index) => ({ units, damage: losses[index]! - whole }));
}

/** Ascending, without doubles; what is whole needs no measuring. */
function candidateUnits({ uniform, full }: RankItem): readonly number[] {
  const units = FACTORS.map((factor) => Math.max(1, Math.round(factor * uniform)));
  return [...new Set(units)].filter((count) => count < full);
}
