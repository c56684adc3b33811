import { BLOCK_BYTES, BLOCK_SIZE } from "./four-bit-blocks.js";
import { ZERO_CODE } from "./four-bit-code.js";

/** What codes of four bits stand for, `[rows, columns]`: the opposite of `packRows`. */
export function unpackRows(
  codes: Uint8Array,
  scales: Float32Array,
  rows: number,
  columns: number,
): Float32Array {
  const blocks = Math.ceil(columns / BLOCK_SIZE);
  return Float32Array.from({ length: rows * columns }, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const byte = codes[row * blocks * BLOCK_BYTES + (column >> 1)]!;
    const code = column % 2 === 0 ? byte & 0x0f : byte >> 4;
    return (code - ZERO_CODE) * scales[row * blocks + Math.floor(column / BLOCK_SIZE)]!;
  });
}
