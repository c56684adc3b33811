import { createMatrix, type Matrix } from "../matrix.js";
import type { Deflation, Rotation } from "./deflate.js";

/**
 * The vectors of two halves as rows of full width, in the order: active ones that are zero below the cut, mixed ones, those
 * that are zero above it, settled ones.
 */
export interface CoupledRows {
  /** `[n, n]` */
  readonly rows: Matrix;
  /** Columns of the upper half. */
  readonly cut: number;
  /** The first active row that reaches below the cut. */
  readonly lowerStart: number;
  /** The end of the active rows that reach above it. */
  readonly upperEnd: number;
  /** For each active vector, in the deflation's order, its row. */
  readonly columns: Int32Array;
}

/** Gathers the rows of `upper` and `lower` (numbered through) and makes the rotations of the deflation to them. */
export function arrangeRows(
  upper: Matrix,
  lower: Matrix,
  { active, settled, rotations }: Deflation,
): CoupledRows {
  const mixed = mixedBy(rotations, upper.rows);
  const onlyUpper = active.filter((index) => index < upper.rows && !mixed.has(index));
  const onlyLower = active.filter((index) => index >= upper.rows && !mixed.has(index));
  const both = active.filter((index) => mixed.has(index));
  const order = [...onlyUpper, ...both, ...onlyLower, ...settled];
  const rows = createMatrix(order.length, upper.cols + lower.cols);
  const places = new Int32Array(order.length);
  for (const [place, index] of order.entries()) {
    places[index] = place;
    if (index < upper.rows) placeRow(rows, place, 0, upper, index);
    else placeRow(rows, place, upper.cols, lower, index - upper.rows);
  }
  for (const rotation of rotations) rotate(rows, places[rotation.first]!, places[rotation.second]!, rotation);
  return {
    rows,
    cut: upper.cols,
    lowerStart: onlyUpper.length,
    upperEnd: onlyUpper.length + both.length,
    columns: Int32Array.from(active, (index) => places[index]!),
  };
}

/** Vectors that rotations spread over both halves. */
function mixedBy(rotations: readonly Rotation[], upperCount: number): ReadonlySet<number> {
  const mixed = new Set<number>();
  for (const { first, second } of rotations) {
    if (!mixed.has(first) && first < upperCount === second < upperCount && !mixed.has(second)) continue;
    mixed.add(first);
    mixed.add(second);
  }
  return mixed;
}

function placeRow(rows: Matrix, place: number, col: number, half: Matrix, index: number): void {
  rows.data.set(half.data.subarray(index * half.cols, (index + 1) * half.cols), place * rows.cols + col);
}

function rotate({ cols, data }: Matrix, first: number, second: number, { c, s }: Rotation): void {
  const one = data.subarray(first * cols, (first + 1) * cols);
  const other = data.subarray(second * cols, (second + 1) * cols);
  for (let k = 0; k < cols; k++) {
    const x = one[k]!;
    const y = other[k]!;
    one[k] = c * x + s * y;
    other[k] = c * y - s * x;
  }
}
