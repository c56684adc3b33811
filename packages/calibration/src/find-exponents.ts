import { exponentsOf } from "./grid.js";
import { gramRows, type ReadOutput, type StageNames } from "./stage-totals.js";

/** How large rows are in what a graph summed over a window: `2^exponents` is the next power of two above the root of `Σ y²`. */
export async function findExponents(
  names: StageNames,
  read: ReadOutput,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (const { name, size } of names.moments)
    found.set(name, exponentsOf(rootsOfDiagonal(await read(`${name}.gram`), size)));
  for (const { name, size, rows } of names.crosses)
    found.set(name, exponentsOf(columnSizes(await read(`${name}.cross`), size, found.get(rows)!)));
  return found;
}

function rootsOfDiagonal(gram: Float32Array, width: number): Float64Array {
  const roots = new Float64Array(width);
  let offset = 0;
  for (const { start, end, from } of gramRows(width))
    for (let row = start; row < end; row++) {
      roots[row] = Math.sqrt(Math.max(0, gram[offset + row - from]!));
      offset += width - from;
    }
  return roots;
}

/** No sum of squares is there for the columns `z`: what they have in common with some row `y` is of their size. */
function columnSizes(cross: Float32Array, width: number, rows: readonly number[]): Float64Array {
  const sizes = new Float64Array(width);
  for (const [row, exponent] of rows.entries()) {
    const scale = 2 ** -exponent;
    for (let column = 0; column < width; column++)
      sizes[column] = Math.max(sizes[column]!, scale * Math.abs(cross[row * width + column]!));
  }
  return sizes;
}
