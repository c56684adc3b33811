import type { Matrix } from "../matrix.js";
import { NumericalError } from "../numerical-error.js";

/** `[2, 3]`, for messages. */
export const formatShape = (a: Matrix): string => `[${a.rows}, ${a.cols}]`;

export function requireSameShape(caller: string, a: Matrix, b: Matrix): void {
  if (a.rows === b.rows && a.cols === b.cols) return;
  throw new NumericalError(
    "shape-mismatch",
    `${caller}: expected two matrices of one shape, found ${formatShape(a)} and ${formatShape(b)}`,
  );
}

export function requireShape(caller: string, name: string, a: Matrix, rows: number, cols: number): void {
  if (a.rows === rows && a.cols === cols) return;
  throw new NumericalError(
    "shape-mismatch",
    `${caller}: expected ${name} to be [${rows}, ${cols}], found ${formatShape(a)}`,
  );
}

export function requireSquare(caller: string, name: string, a: Matrix): void {
  if (a.rows === a.cols) return;
  throw new NumericalError(
    "shape-mismatch",
    `${caller}: expected ${name} to be square, found ${formatShape(a)}`,
  );
}

export function requireFinite(caller: string, name: string, a: Matrix): void {
  const index = firstNonFinite(a.data);
  if (index === a.data.length) return;
  const row = Math.floor(index / a.cols);
  throw new NumericalError(
    "not-finite",
    `${caller}: expected ${name} to be finite, found ${a.data[index]} at (${row}, ${index - row * a.cols}); look for overflow or bad values in what it was computed from`,
  );
}

/** A plain loop: at layer size a callback per value costs more than a product in ONNX Runtime. */
function firstNonFinite(data: Float64Array): number {
  let index = 0;
  while (index < data.length && Number.isFinite(data[index]!)) index++;
  return index;
}

export function requireRank(caller: string, rank: number, limit: number): void {
  if (Number.isInteger(rank) && rank >= 0 && rank <= limit) return;
  throw new NumericalError(
    "invalid-argument",
    `${caller}: expected a rank from 0 to ${limit}, found ${rank}`,
  );
}

/** Checks the half-open range `[start, end)` inside `[0, size)`. */
export function requireRange(caller: string, name: string, start: number, end: number, size: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= size) return;
  throw new NumericalError(
    "invalid-argument",
    `${caller}: expected ${name} to be a half-open range within [0, ${size}), found [${start}, ${end})`,
  );
}
