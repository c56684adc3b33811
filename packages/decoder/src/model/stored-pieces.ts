import { encodeFloats, float16Bits, float32Bits } from "@kvfold/safetensors";
import type { StoredMatrix } from "./stored-matrix.js";

/** Fills `target` with whole rows from row `start` on, as little-endian floats. */
export type FillRows = (target: Uint8Array, start: number) => Promise<void>;

/** What bytes are made for. */
export interface PieceType {
  readonly type: "float32" | "float16";
  /** The tensor that is written, for errors. */
  readonly tensor: string;
}

/**
 * The rows of a stored matrix, in order.
 *
 * Numerics: float16 stays as it is, and both kinds become float32 exactly; bfloat16 is rounded to float16.
 *
 * @throws {SafetensorsError} `overflow` for numbers of bfloat16 that float16 cannot hold; and as reading does, for numbers
 * that are not finite.
 */
export function storedRows(matrix: StoredMatrix, piece: PieceType): FillRows {
  const convert = conversion(matrix, piece.type);
  return async (target, start) => {
    const bits = matrix.buffers.take(target.byteLength / BYTES[piece.type]);
    await matrix.read(start, bits);
    if (!convert.rows(bits, target)) await refuse(matrix, piece);
    matrix.buffers.give(bits);
  };
}

/**
 * The rows of a stored matrix's transpose. The matrix is in memory as a whole from the first piece to the last.
 *
 * Numerics and errors: as `storedRows`.
 */
export function storedColumns(matrix: StoredMatrix, piece: PieceType): FillRows {
  const { rows, columns, buffers } = matrix;
  const convert = conversion(matrix, piece.type);
  let bits: Uint16Array = new Uint16Array(0);
  return async (target, start) => {
    if (start === 0) {
      bits = buffers.take(rows * columns);
      await matrix.read(0, bits);
    }
    const end = start + target.byteLength / BYTES[piece.type] / rows;
    if (!convert.columns(bits, { rows, columns, start, end }, target)) await refuse(matrix, piece);
    if (end === columns) buffers.give(bits);
  };
}

const BYTES = { float32: 4, float16: 2 } as const;

/** Names the number that cannot be written: as reading does if it is not finite, else as encoding does. */
async function refuse(matrix: StoredMatrix, { tensor }: PieceType): Promise<never> {
  encodeFloats(await matrix.numbers(), "F16", { tensor });
  throw new Error(`${tensor}: its numbers were not finite when they were read first`);
}

/** Columns `[start, end)` of a matrix. */
interface ColumnPart {
  readonly rows: number;
  readonly columns: number;
  readonly start: number;
  readonly end: number;
}

/** Conversions that say whether all results are finite. */
interface Conversion {
  rows(bits: Uint16Array, target: Uint8Array): boolean;
  columns(bits: Uint16Array, part: ColumnPart, target: Uint8Array): boolean;
}

function conversion({ dtype }: StoredMatrix, type: PieceType["type"]): Conversion {
  if (type === "float32") {
    const table = float32Bits(dtype);
    return {
      rows: (bits, target) => convertTo32(bits, table, words(target)),
      columns: (bits, part, target) => transposeTo32(bits, table, part, words(target)),
    };
  }
  const table = float16Bits(dtype);
  return {
    rows: (bits, target) => convertTo16(bits, table, halves(target)),
    columns: (bits, part, target) =>
      dtype === "F16" && hasPairs(part)
        ? transposePairs(bits, part, target)
        : transposeTo16(bits, table, part, halves(target)),
  };
}

const words = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new Uint32Array(buffer, byteOffset, byteLength / 4);
const halves = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new Uint16Array(buffer, byteOffset, byteLength / 2);

/*
 * The loops are written out for each width, since one loop over two kinds of arrays is several times as slow. A result
 * that is not finite has an exponent of ones: adding one to it carries into the next bit.
 */

function convertTo16(bits: Uint16Array, table: Uint16Array, target: Uint16Array): boolean {
  let carries = 0;
  for (let i = 0; i < bits.length; i++) {
    const half = table[bits[i]!]!;
    carries |= (half & 0x7c00) + 0x0400;
    target[i] = half;
  }
  return (carries & 0x8000) === 0;
}

function convertTo32(bits: Uint16Array, table: Uint32Array, target: Uint32Array): boolean {
  let carries = 0;
  for (let i = 0; i < bits.length; i++) {
    const word = table[bits[i]!]!;
    carries |= (word & 0x7f800000) + 0x00800000;
    target[i] = word;
  }
  return carries >= 0;
}

/** Edge of the square tiles, which stay in the first-level cache. */
const TILE = 32;

function transposeTo16(
  bits: Uint16Array,
  table: Uint16Array,
  { rows, columns, start, end }: ColumnPart,
  target: Uint16Array,
): boolean {
  let carries = 0;
  for (let left = start; left < end; left += TILE) {
    const right = Math.min(left + TILE, end);
    for (let top = 0; top < rows; top += TILE) {
      const bottom = Math.min(top + TILE, rows);
      for (let column = left; column < right; column++) {
        const to = (column - start) * rows;
        for (let row = top, from = top * columns + column; row < bottom; row++, from += columns) {
          const half = table[bits[from]!]!;
          carries |= (half & 0x7c00) + 0x0400;
          target[to + row] = half;
        }
      }
    }
  }
  return (carries & 0x8000) === 0;
}

function transposeTo32(
  bits: Uint16Array,
  table: Uint32Array,
  { rows, columns, start, end }: ColumnPart,
  target: Uint32Array,
): boolean {
  let carries = 0;
  for (let left = start; left < end; left += TILE) {
    const right = Math.min(left + TILE, end);
    for (let top = 0; top < rows; top += TILE) {
      const bottom = Math.min(top + TILE, rows);
      for (let column = left; column < right; column++) {
        const to = (column - start) * rows;
        for (let row = top, from = top * columns + column; row < bottom; row++, from += columns) {
          const word = table[bits[from]!]!;
          carries |= (word & 0x7f800000) + 0x00800000;
          target[to + row] = word;
        }
      }
    }
  }
  return carries >= 0;
}

const hasPairs = ({ rows, columns, start, end }: ColumnPart): boolean =>
  [rows, columns, start, end].every((count) => count % 2 === 0);

/** Moves bits as they are, four at a time: two rows of two neighbours in a word. */
function transposePairs(
  bits: Uint16Array,
  { rows, columns, start, end }: ColumnPart,
  target: Uint8Array,
): boolean {
  const from = words(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength));
  const to = words(target);
  const [width, height] = [columns / 2, rows / 2];
  let carries = 0;
  for (let left = start / 2; left < end / 2; left += PAIR_TILE) {
    const right = Math.min(left + PAIR_TILE, end / 2);
    for (let top = 0; top < height; top += PAIR_TILE) {
      const bottom = Math.min(top + PAIR_TILE, height);
      for (let column = left; column < right; column++) {
        const first = (2 * column - start) * height;
        for (let row = top, at = 2 * top * width + column; row < bottom; row++, at += 2 * width) {
          const [upper, lower] = [from[at]!, from[at + width]!];
          carries |= ((upper & 0x7c007c00) + 0x04000400) | ((lower & 0x7c007c00) + 0x04000400);
          to[first + row] = (upper & 0xffff) | (lower << 16);
          to[first + height + row] = (upper >>> 16) | (lower & 0xffff0000);
        }
      }
    }
  }
  return (carries & 0x80008000) === 0;
}

const PAIR_TILE = 16;
