import type { Choice } from "./cheapest-choices.js";

/**
 * The damage of every rank from the smallest measured one to the whole layer, which costs nothing. Between measured
 * ranks it lies on the line; more rank never costs more, and nothing gains: what looks so is the noise of a few windows.
 */
export function damageTable(measured: readonly Choice[], full: number): readonly Choice[] {
  const points: Choice[] = [];
  for (const { units, damage } of [...measured, { units: full, damage: 0 }]) {
    points.push({ units, damage: Math.min(Math.max(0, damage), points.at(-1)?.damage ?? damage) });
  }
  return [...points.slice(0, 1), ...points.slice(1).flatMap((end, index) => lineTo(points[index]!, end))];
}

/** The ranks after `start` up to `end`. */
const lineTo = (start: Choice, end: Choice): readonly Choice[] =>
  Array.from({ length: end.units - start.units }, (_, index) => {
    const share = (index + 1) / (end.units - start.units);
    return {
      units: start.units + index + 1,
      damage: start.damage + share * (end.damage - start.damage),
    };
  });
