/**
 * Eigenvectors of `diag(d) + ρ z zᵀ` from its eigenvalues. Taking the `z` for which the computed values are exact, in
 * place of the given one, makes the vectors orthogonal to working precision however close the values lie.
 * M. Gu and S. Eisenstat, "A stable and efficient algorithm for the rank-one modification of the symmetric
 * eigenproblem", SIAM J. Matrix Anal. Appl. 15(4), 1994.
 */
import { createMatrix, type Matrix } from "../matrix.js";
import type { RankOneUpdate, SecularRoots } from "./secular-equation.js";

/** The eigenvalues themselves, ascending. */
export const secularValues = ({ poles }: RankOneUpdate, { origins, offsets }: SecularRoots): Float64Array =>
  offsets.map((offset, j) => poles[origins[j]!]! + offset);

/** As rows, the unit vectors of the roots `wanted`: component `i` in column `columns[i]`. */
export function secularVectors(
  update: RankOneUpdate,
  roots: SecularRoots,
  wanted: readonly number[],
  columns: Int32Array,
): Matrix {
  const { poles } = update;
  const z = exactVector(update, roots);
  const result = createMatrix(wanted.length, poles.length);
  const vector = new Float64Array(poles.length);
  for (const [row, j] of wanted.entries()) {
    const from = poles[roots.origins[j]!]!;
    const offset = roots.offsets[j]!;
    let square = 0;
    for (let i = 0; i < vector.length; i++) {
      const value = z[i]! / (poles[i]! - from - offset);
      vector[i] = value;
      square += value * value;
    }
    const factor = 1 / Math.sqrt(square);
    const start = row * result.cols;
    for (let i = 0; i < vector.length; i++) result.data[start + columns[i]!] = factor * vector[i]!;
  }
  return result;
}

/** `z_i² ∝ Π_j (λ_j - d_i) / Π_(j≠i) (d_j - d_i)` (Löwner's formula), with the signs of the given `z`. */
function exactVector({ poles, vector }: RankOneUpdate, { origins, offsets }: SecularRoots): Float64Array {
  return vector.map((given, i) => {
    const pole = poles[i]!;
    let square = poles[origins[i]!]! - pole + offsets[i]!;
    for (let j = 0; j < poles.length; j++) {
      if (j !== i) square *= (poles[origins[j]!]! - pole + offsets[j]!) / (poles[j]! - pole);
    }
    const size = Math.sqrt(Math.abs(square));
    return given < 0 ? -size : size;
  });
}
