import type { RankGrid } from "./rank-grid.js";

/** A rank of one layer, and the relative error that the layer's output has with it. */
export interface Rung {
  readonly units: number;
  readonly error: number;
}

/** The ranks that falling thresholds give a layer, most first; the first rung is the whole layer, without error. */
export type Ladder = readonly Rung[];

/** Halvings of the interval that holds the error budget: more than a double tells apart. */
const HALVINGS = 60;

/** Down the ladder while the next rung's error stays below `errorBudget`. */
export function descend(ladder: Ladder, errorBudget: number): Rung {
  const broken = ladder.findIndex(({ error }, index) => index > 0 && error >= errorBudget);
  return broken < 0 ? ladder.at(-1)! : ladder[broken - 1]!;
}

/**
 * Units for each layer under the one error budget, the same for all, that comes nearest to `total` from below. What is
 * left goes unit by unit to the layer with the largest error. The last rungs together must fit into the total.
 */
export function unitsUnderErrorBudget(
  ladders: readonly Ladder[],
  { full, total }: Pick<RankGrid, "full" | "total">,
): readonly number[] {
  const unitsAt = (errorBudget: number) => ladders.map((ladder) => descend(ladder, errorBudget).units);
  // Errors are met at `loose` and, unless everything may be kept whole, broken at `tight`.
  let [tight, loose] = [0, 2 * Math.max(...ladders.flat().map(({ error }) => error)) + 1];
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = (tight + loose) / 2;
    if (sumOf(unitsAt(middle)) <= total) loose = middle;
    else tight = middle;
  }
  return spendRest(unitsAt(loose), ladders, { full, total });
}

function spendRest(
  start: readonly number[],
  ladders: readonly Ladder[],
  { full, total }: Pick<RankGrid, "full" | "total">,
): readonly number[] {
  const units = [...start];
  const errorOf = (layer: number) => (units[layer]! < full ? errorAt(ladders[layer]!, units[layer]!) : -1);
  for (let left = total - sumOf(units); left > 0; left--) {
    const errors = units.map((_, layer) => errorOf(layer));
    const worst = errors.indexOf(Math.max(...errors));
    if (errors[worst]! < 0) break;
    units[worst]!++;
  }
  return units;
}

/** The error on the line between the rungs around `units`. */
function errorAt(ladder: Ladder, units: number): number {
  const below = ladder.findIndex((rung) => rung.units <= units);
  const [low, high] = [ladder[below]!, ladder[below - 1] ?? ladder[below]!];
  const share = high.units > low.units ? (units - low.units) / (high.units - low.units) : 0;
  return low.error + share * (high.error - low.error);
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
