import { BLOCK_SIZE } from "./four-bit-blocks.js";

export declare namespace dequantiseRows {
  /** How rows of codes are packed: `ceil(columns / blockSize)` blocks to a row, each with a scale. */
  interface Layout {
    readonly rows: number;
    readonly columns: number;
    /** Four or eight bits to a code; two codes of four bits share a byte, the first in its low half. */
    readonly bits?: number;
    /** Codes that share a scale. */
    readonly blockSize?: number;
  }
}

/**
 * What codes stand for, `[rows, columns]`: `(code - zero) * scale`, as ONNX Runtime's `MatMulNBits` reads them. Zero points
 * are one for each block: packed in bytes like the codes, each row from a byte of its own, or floats; without them zero is
 * in the middle, 8 of 16 or 128 of 256.
 */
export function dequantiseRows(
  { rows, columns, bits = 4, blockSize = BLOCK_SIZE }: dequantiseRows.Layout,
  codes: Uint8Array,
  scales: Float32Array,
  zeros?: Uint8Array | Float32Array,
): Float32Array {
  const blocks = Math.ceil(columns / blockSize);
  const rowBytes = (blocks * blockSize * bits) / 8;
  const zeroBytes = Math.ceil((blocks * bits) / 8);
  const zeroOf = (row: number, block: number): number => {
    if (zeros === undefined) return 2 ** (bits - 1);
    if (zeros instanceof Float32Array) return zeros[row * blocks + block]!;
    return codeAt(zeros, row * zeroBytes, block, bits);
  };
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const [scale, zero] = [scales[row * blocks + block]!, zeroOf(row, block)];
      const end = Math.min((block + 1) * blockSize, columns);
      for (let column = block * blockSize; column < end; column++)
        values[row * columns + column] = (codeAt(codes, row * rowBytes, column, bits) - zero) * scale;
    }
  }
  return values;
}

function codeAt(bytes: Uint8Array, start: number, index: number, bits: number): number {
  if (bits === 8) return bytes[start + index]!;
  const byte = bytes[start + (index >> 1)]!;
  return index % 2 === 0 ? byte & 0x0f : byte >> 4;
}
