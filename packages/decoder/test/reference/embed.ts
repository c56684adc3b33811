import { type Rows, zeroRows } from "./layers.js";

/** The rows of `table [V, width]` that belong to the tokens. */
export function embed(table: Float32Array, width: number, tokens: readonly number[]): Rows {
  const rows = zeroRows(tokens.length, width);
  for (const [row, token] of tokens.entries()) {
    rows.data.set(table.subarray(token * width, (token + 1) * width), row * width);
  }
  return rows;
}
