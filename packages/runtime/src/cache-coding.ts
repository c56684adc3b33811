import type { CachePrecision } from "@kvfold/policies/check";

/**
 * How numbers of a cache become bytes. A group of a head's numbers has one scale. Unpacked codes are bytes: a number is
 * `(code - zeroPoint) * scale`.
 */
export interface CacheCoding {
  readonly precision: CachePrecision;
  /** The code of 0; for four bits it lies between two of them. */
  readonly zeroPoint: number;
  /** What the largest number of a group is in units of its scale. */
  readonly largest: number;
  /** Codes in a byte. */
  readonly perByte: 1 | 2;
  /** Whether groups are rotated first (`groupRotation`), so that no number of them is much larger than the others. */
  readonly isRotated: boolean;
  /** Most numbers of a group. */
  readonly groupSize: number;
}

/**
 * The codings of caches. Eight bits need no rotation. Four bits take the middles of 16 equal steps, as bytes 16 apart; the
 * largest number of a group lies at the outer edge of its step. docs/benchmarks.md
 * has what others cost.
 */
export const cacheCodings: Readonly<Record<CachePrecision, CacheCoding>> = {
  int8: { precision: "int8", zeroPoint: 128, largest: 127, perByte: 1, isRotated: false, groupSize: 256 },
  int4: { precision: "int4", zeroPoint: 120, largest: 128, perByte: 2, isRotated: true, groupSize: 16 },
};

/** All precisions of quantised caches, the finest first. */
export const cachePrecisions: readonly CachePrecision[] = ["int8", "int4"];

/** Smallest scale: float16 has six of its bits left there. Groups of smaller numbers are near enough to zero. */
export const SMALLEST_SCALE: number = 2 ** -18;

/**
 * The rotation of a group of `size` numbers that spreads large ones over the others: orthonormal, `[size, size]`, row-major,
 * for rows `x R`. It is the Kronecker product of a Hadamard matrix, for the power of two in `size`, and a cosine transform for
 * the odd rest.
 *
 * Numerics: entries are rounded to float32, so rows are orthonormal to 1e-6.
 */
export function groupRotation(size: number): Float32Array {
  const rest = oddPart(size);
  const power = size / rest;
  const matrix = new Float32Array(size * size);
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const sign = hadamardSign(Math.floor(row / rest), Math.floor(column / rest));
      matrix[row * size + column] = (sign * cosine(row % rest, column % rest, rest)) / Math.sqrt(power);
    }
  return matrix;
}

function oddPart(value: number): number {
  let odd = value;
  while (odd % 2 === 0) odd /= 2;
  return odd;
}

/** An entry of Sylvester's Hadamard matrix: -1 where the numbers of row and column share an odd number of bits. */
function hadamardSign(row: number, column: number): number {
  let sign = 1;
  for (let shared = row & column; shared !== 0; shared &= shared - 1) sign = -sign;
  return sign;
}

/** An entry of the orthonormal cosine transform (DCT-II) of `size` numbers. */
function cosine(row: number, column: number, size: number): number {
  if (row === 0) return Math.sqrt(1 / size);
  return Math.sqrt(2 / size) * Math.cos((Math.PI * (2 * column + 1) * row) / (2 * size));
}
