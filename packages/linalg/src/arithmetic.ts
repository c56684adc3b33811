import { requireSameShape } from "./internal/requirements.js";
import type { Matrix } from "./matrix.js";

/**
 * `a + b`, element by element.
 *
 * @throws {NumericalError} `shape-mismatch` when the shapes differ.
 */
export function add(a: Matrix, b: Matrix): Matrix {
  requireSameShape("add", a, b);
  return { ...a, data: a.data.map((value, index) => value + b.data[index]!) };
}

/**
 * `a - b`, element by element.
 *
 * @throws {NumericalError} `shape-mismatch` when the shapes differ.
 */
export function subtract(a: Matrix, b: Matrix): Matrix {
  requireSameShape("subtract", a, b);
  return { ...a, data: a.data.map((value, index) => value - b.data[index]!) };
}

/** `factor · a`. */
export function scale(a: Matrix, factor: number): Matrix {
  return { ...a, data: a.data.map((value) => value * factor) };
}
