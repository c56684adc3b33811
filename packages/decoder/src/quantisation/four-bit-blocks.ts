/**
 * Weights in four bits, as ONNX Runtime's `MatMulNBits` reads them (bits 4, no zero points): 32 neighbours of a row
 * share a scale, and a code `q` of 0 to 15 stands for `(q - 8) * scale`. Two codes share a byte, the first in its low
 * half. A row whose length is no multiple of 32 ends in a padded block.
 */

import type { FourBitRows } from "../model/four-bit-rows.js";
import { chooseScale } from "./choose-scale.js";
import { nearestCode, ZERO_CODE } from "./four-bit-code.js";

/** Weights that share a scale. */
export const BLOCK_SIZE = 32;

/** What a block takes in bytes, without its scale. */
export const BLOCK_BYTES: number = BLOCK_SIZE / 2;
/** Two codes of zero: what padding holds. */
const ZERO_BYTE = ZERO_CODE | (ZERO_CODE << 4);

/**
 * Quantises `weights [rows, columns]`, each block by the scale that `chooseScale` finds.
 *
 * Numerics: the sum of squared errors of a block is at most that of scaling by its largest weight, whose errors are at
 * most an eighth of it. Zeros stay zeros; a block whose scale is too small for float32 becomes zero. Weights must be
 * finite.
 */
export function quantiseRows(weights: Float32Array, rows: number, columns: number): FourBitRows {
  const blocks = Math.ceil(columns / BLOCK_SIZE);
  const codes = new Uint8Array(rows * blocks * BLOCK_BYTES).fill(ZERO_BYTE);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * columns + block * BLOCK_SIZE;
      const values = weights.subarray(start, Math.min(start + BLOCK_SIZE, (row + 1) * columns));
      const index = row * blocks + block;
      scales[index] = chooseScale(values);
      packBlock(codes, index * BLOCK_BYTES, values, scales[index]!);
    }
  }
  return { blocks, codes, scales };
}

/**
 * Rows of codes that were chosen elsewhere, one to a byte, `[rows, columns]`, with a scale for each block.
 */
export function packRows(
  codes: Uint8Array,
  scales: Float32Array,
  rows: number,
  columns: number,
): FourBitRows {
  const blocks = Math.ceil(columns / BLOCK_SIZE);
  const packed = new Uint8Array(rows * blocks * BLOCK_BYTES).fill(ZERO_BYTE);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const byte = row * blocks * BLOCK_BYTES + (column >> 1);
      packed[byte] = withCode(packed[byte]!, column, codes[row * columns + column]!);
    }
  }
  return { blocks, codes: packed, scales };
}

/** The first code of a byte is its low half. */
const withCode = (byte: number, index: number, code: number): number =>
  index % 2 === 0 ? (byte & 0xf0) | code : (byte & 0x0f) | (code << 4);

function packBlock(codes: Uint8Array, offset: number, values: Float32Array, scale: number): void {
  // Too small for float32: the block is zero.
  if (scale === 0) return;
  for (let i = 0; i < values.length; i++) {
    const byte = offset + (i >> 1);
    codes[byte] = withCode(codes[byte]!, i, nearestCode(values[i]!, 1 / scale));
  }
}
