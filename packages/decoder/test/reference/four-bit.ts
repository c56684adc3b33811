/** `MatMulNBits` weights by their definition, one number at a time (ONNX Runtime's operator documentation). */
import type { FourBitRows } from "../../src/model/four-bit-rows.js";

/** The weights `[rows, columns]` that codes and scales stand for. */
export function dequantise(
  { codes, scales, blocks }: FourBitRows,
  rows: number,
  columns: number,
): Float64Array {
  const weights = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const block = row * blocks + Math.floor(column / 32);
      const byte = codes[block * 16 + Math.floor((column % 32) / 2)]!;
      const code = column % 2 === 0 ? byte % 16 : Math.floor(byte / 16);
      weights[row * columns + column] = (code - 8) * scales[block]!;
    }
  }
  return weights;
}

/** The block as ONNX Runtime's quantiser has it: the weight of the largest magnitude becomes code 0. */
export function quantiseByLargest(block: readonly number[]): readonly number[] {
  const extreme = block.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const scale = extreme / -8;
  if (scale === 0) return block.map(() => 0);
  return block.map((weight) => Math.min(Math.max(Math.round(weight / scale), -8), 7) * scale);
}
