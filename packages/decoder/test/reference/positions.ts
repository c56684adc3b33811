import { type RopeParameters, ropeFrequencies } from "@kvfold/rope";
import type { Rows } from "./layers.js";

/**
 * Rotates pairs `(j, j + r/2)` of the first `r` numbers of every head of row `t` by `t * frequency_j` (Su et al. 2021, in
 * half-split layout), with the frequencies of a text as long as `x`; or by another position for each row and pair, and with
 * another factor than the rotation's own.
 */
export function rotateHeads(
  x: Rows,
  rope: RopeParameters,
  positionOf: (row: number, pair: number) => number = (row) => row,
  factor?: number,
): Rows {
  const { inverseFrequencies, attentionScaling: own } = ropeFrequencies(rope, x.count);
  const attentionScaling = factor ?? own;
  const half = rope.rotaryDim / 2;
  const data = x.data.slice();
  for (let row = 0; row < x.count; row++) {
    for (let head = 0; head < x.width; head += rope.headDim) {
      for (let j = 0; j < half; j++) {
        const angle = positionOf(row, j) * inverseFrequencies[j]!;
        const [cos, sin] = [attentionScaling * Math.cos(angle), attentionScaling * Math.sin(angle)];
        const at = row * x.width + head + j;
        const [a, b] = [x.data[at]!, x.data[at + half]!];
        data[at] = a * cos - b * sin;
        data[at + half] = b * cos + a * sin;
      }
    }
  }
  return { ...x, data };
}

/** The slopes of the published ALiBi code (Press et al. 2022), by its own recursion. */
export function publishedSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  if (power === heads) {
    const start = 2 ** (-8 / heads);
    return Array.from({ length: heads }, (_, index) => start * start ** index);
  }
  const rest = publishedSlopes(2 * power).filter((_, index) => index % 2 === 0);
  return [...publishedSlopes(power), ...rest.slice(0, heads - power)];
}
