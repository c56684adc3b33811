import type { EmbeddingWeights } from "../../src/model/decoder-weights.js";
import { addRows, applyLinear, applyNorm, mapRows, type Rows, zeroRows } from "./layers.js";

/** Hidden states `[T, D]` before the first block; the text begins at position 0. */
export function embed(weights: EmbeddingWeights, vocabulary: number, tokens: readonly number[]): Rows {
  const { table, scale = 1, norm, positions, projection } = weights;
  let x = mapRows(lookUp(table, table.length / vocabulary, tokens), (value) => value * scale);
  if (projection !== undefined) x = applyLinear(x, projection);
  if (norm !== undefined) x = applyNorm(x, norm);
  if (positions === undefined) return x;
  const rows = tokens.map((_, index) => index + positions.offset);
  return addRows(x, lookUp(positions.table, x.width, rows));
}

function lookUp(table: Float32Array, width: number, rows: readonly number[]): Rows {
  const x = zeroRows(rows.length, width);
  for (const [at, row] of rows.entries())
    x.data.set(table.subarray(row * width, (row + 1) * width), at * width);
  return x;
}
