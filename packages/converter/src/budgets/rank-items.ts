import type { ModelShape } from "@kvfold/decoder";
import type { Method } from "../methods/method.js";
import type { FoldPlan, LayerPlan, SidePlan } from "../plan/fold-plan.js";
import { greatestDivisor } from "../plan/greatest-divisor.js";
import { multipleOf, type RankGrid } from "./rank-grid.js";

/** What is given a rank of its own, in units. */
export interface RankItem {
  /** Units of what is kept whole (or nearly, where that rank is no multiple of a unit). */
  readonly full: number;
  /** Units in a uniform plan. */
  readonly uniform: number;
  /** What a unit takes of the total. */
  readonly cost: number;
  /** The layer with this at so many units, and the rest of it whole. */
  readonly alone: (units: number) => LayerPlan;
}

/** The items of any one layer, alike in all layers. */
export interface RankItems {
  readonly items: readonly RankItem[];
  /** Of all layers together. */
  readonly total: number;
  /** The layer with these units, an item each. */
  readonly layer: (units: readonly number[]) => LayerPlan;
}

/**
 * What ranks can be chosen for: layers where keys and values must be of one size, for fused attention or because they share
 * latents; each side of a layer elsewhere.
 */
export const rankItems = (
  plan: FoldPlan,
  { joint }: Pick<Method, "joint">,
  shape: ModelShape,
  grid: RankGrid,
): RankItems =>
  plan.attention === "group-query" || joint !== undefined ? layerItems(grid) : sideItems(plan, shape);

const layerItems = ({ full, uniform, total, layer }: RankGrid): RankItems => ({
  items: [{ full, uniform, cost: 1, alone: layer }],
  total,
  layer: ([units]) => layer(units!),
});

function sideItems({ layers, attention }: FoldPlan, { headDim }: ModelShape): RankItems {
  const { keys, values } = layers[0]!;
  const multiple = multipleOf(attention, greatestDivisor(keys.rank, values.rank));
  const shared = greatestDivisor(keys.heads, values.heads);
  const whole = ({ span }: SidePlan) => Math.floor((span * headDim) / multiple);
  const at = (side: SidePlan, units: number): SidePlan => ({ ...side, rank: units * multiple });
  const layer = (units: readonly number[]): LayerPlan => ({
    keys: at(keys, units[0]!),
    values: at(values, units[1]!),
  });
  const item = (side: SidePlan, alone: RankItem["alone"]): RankItem => ({
    full: whole(side),
    uniform: side.rank / multiple,
    cost: side.heads / shared,
    alone,
  });
  const items = [
    item(keys, (units) => layer([units, whole(values)])),
    item(values, (units) => layer([whole(keys), units])),
  ];
  const used = items.reduce((sum, { uniform, cost }) => sum + uniform * cost, 0);
  return { items, total: layers.length * used, layer };
}
