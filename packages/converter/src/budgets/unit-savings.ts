import { numbersPerToken } from "../plan/cache-size.js";
import type { RankGrid } from "./rank-grid.js";

/** What no layer falls below, as a share of the uniform rank. */
const FLOOR = 1 / 4;

/**
 * What each further unit of a layer saves, `[full]`, descending: the savings of the next numbers of all its groups, over the
 * power of the stream that the errors are added to.
 */
export function unitSavings(
  groups: readonly Float64Array[],
  grid: Pick<RankGrid, "full" | "layer">,
  power: number,
): Float64Array {
  const width = numbersPerToken(grid.layer(1)) / groups.length;
  return Float64Array.from({ length: grid.full }, (_, unit) => {
    const [start, end] = [unit * width, (unit + 1) * width];
    const saved = groups.reduce((total, savings) => total + sumOf(savings.subarray(start, end)), 0);
    return power > 0 ? saved / power : 0;
  });
}

/**
 * Units for each layer, `grid.total` together: the greatest savings of all layers first, after a quarter of the uniform rank
 * for each. Since savings fall within a layer, no other allocation saves more. Of equals, the earlier layer comes first.
 */
export function unitsByGreatestSavings(
  layers: readonly Float64Array[],
  { full, uniform, total }: Pick<RankGrid, "full" | "uniform" | "total">,
): readonly number[] {
  const units = layers.map(() => Math.max(1, Math.ceil(FLOOR * uniform)));
  const next = (layer: number) =>
    units[layer]! < full ? layers[layer]![units[layer]!]! : Number.NEGATIVE_INFINITY;
  for (let left = total - sumOf(units); left > 0; left--) {
    const offers = units.map((_, layer) => next(layer));
    units[offers.indexOf(Math.max(...offers))]!++;
  }
  return units;
}

const sumOf = (values: Iterable<number>): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
};
