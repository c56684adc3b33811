/**
 * Eigenvectors of a symmetric tridiagonal matrix by halves: `T = diag(T1, T2) + ρ v vᵀ` with a `v` of two nonzeros, so
 * the eigenvectors of the halves take `T` to a diagonal matrix plus `ρ z zᵀ`, whose eigenvectors have a closed form. The
 * work is in the products that take these back, and the last of them need only make the vectors wanted.
 * J. Cuppen, "A divide and conquer method for the symmetric tridiagonal eigenproblem", Numer. Math. 36, 1981.
 */
import { createMatrix, type Matrix, transpose } from "../matrix.js";
import { arrangeRows, type CoupledRows } from "./coupled-rows.js";
import { deflate } from "./deflate.js";
import { diagonalise } from "./diagonalise.js";
import { ascending, copyRow, pick } from "./order.js";
import { solveSecular } from "./secular-equation.js";
import { secularValues, secularVectors } from "./secular-vectors.js";
import type { Steps } from "./steps.js";
import { viewOf, windowOf } from "./view.js";

/** All eigenvalues in ascending order, and as rows the vectors of the last of them: `vectors [wanted, n]`. */
export interface Spectrum {
  readonly values: Float64Array;
  readonly vectors: Matrix;
}

/** Matrices up to this size are left to implicit QR, which is faster there. */
const leafSize = 48;

/** The spectrum of a tridiagonal matrix, with the vectors of the `wanted` largest eigenvalues; consumes its arguments. */
export function* solveTridiagonal(
  diagonal: Float64Array,
  offDiagonal: Float64Array,
  wanted: number,
): Steps<Spectrum> {
  const n = diagonal.length;
  if (n <= leafSize) return solveLeaf(diagonal, offDiagonal, wanted);
  const half = n >> 1;
  const coupling = offDiagonal[half - 1]!;
  diagonal[half - 1]! -= Math.abs(coupling);
  diagonal[half]! -= Math.abs(coupling);
  const upper = yield* solveTridiagonal(diagonal.subarray(0, half), offDiagonal.subarray(0, half), half);
  const lower = yield* solveTridiagonal(diagonal.subarray(half), offDiagonal.subarray(half), n - half);
  return yield* couple(upper, lower, coupling, wanted);
}

function solveLeaf(diagonal: Float64Array, offDiagonal: Float64Array, wanted: number): Spectrum {
  const n = diagonal.length;
  const columns = createMatrix(Math.ceil(n / 4) * 4, n);
  for (let i = 0; i < n; i++) columns.data[i * n + i] = 1;
  diagonalise(diagonal, offDiagonal, columns.data);
  const rows = transpose(createMatrix(n, n, columns.data.subarray(0, n * n)));
  const ranking = ascending(diagonal);
  const vectors = createMatrix(wanted, n);
  for (const [to, from] of ranking.slice(n - wanted).entries()) copyRow(rows, from, vectors, to);
  return { values: pick(diagonal, ranking), vectors };
}

/** The spectrum of the whole from those of its halves. */
function* couple(upper: Spectrum, lower: Spectrum, coupling: number, wanted: number): Steps<Spectrum> {
  const values = concatenate(upper.values, lower.values);
  const z = couplingVector(upper.vectors, lower.vectors, coupling);
  const weight = 2 * Math.abs(coupling);
  const { active, settled, rotations } = deflate(values, z, weight);
  const coupled = arrangeRows(upper.vectors, lower.vectors, { active, settled, rotations });
  const update = { poles: pick(values, active), vector: pick(z, active), weight };
  const roots = solveSecular(update);
  const all = concatenate(secularValues(update, roots), pick(values, settled));
  const ranking = ascending(all);
  const leading = ranking.slice(all.length - wanted);
  const changed = leading.filter((index) => index < active.length);
  const made = yield* takeBack(secularVectors(update, roots, changed, coupled.columns), coupled);
  return { values: pick(all, ranking), vectors: assemble(leading, active.length, made, coupled.rows) };
}

/** `z = Qᵀ v / √2`: the components of the last row above the cut and of the first below, with the sign of the coupling. */
function couplingVector(upper: Matrix, lower: Matrix, coupling: number): Float64Array {
  const z = new Float64Array(upper.rows + lower.rows);
  const sign = coupling < 0 ? -1 : 1;
  for (let i = 0; i < upper.rows; i++) z[i] = upper.data[(i + 1) * upper.cols - 1]! * Math.SQRT1_2;
  for (let i = 0; i < lower.rows; i++) z[upper.rows + i] = sign * lower.data[i * lower.cols]! * Math.SQRT1_2;
  return z;
}

/** `secular · rows`, without the parts of the rows that are zero. */
function* takeBack(secular: Matrix, { rows, cut, lowerStart, upperEnd }: CoupledRows): Steps<Matrix> {
  const result = createMatrix(secular.rows, rows.cols);
  const half = (start: number, end: number, col: number, colEnd: number) => ({
    target: windowOf(viewOf(result), 0, result.rows, col, colEnd),
    left: windowOf(viewOf(secular), 0, secular.rows, start, end),
    right: windowOf(viewOf(rows), start, end, col, colEnd),
    factor: 1,
  });
  yield half(0, upperEnd, 0, cut);
  yield half(lowerStart, secular.cols, cut, rows.cols);
  return result;
}

/** The rows of `leading`: those below `active` have been `made`, in this order; the others are as they were. */
function assemble(leading: readonly number[], active: number, made: Matrix, rows: Matrix): Matrix {
  const result = createMatrix(leading.length, rows.cols);
  let next = 0;
  for (const [to, index] of leading.entries()) {
    if (index < active) copyRow(made, next++, result, to);
    else copyRow(rows, index, result, to);
  }
  return result;
}

function concatenate(first: Float64Array, second: Float64Array): Float64Array {
  const result = new Float64Array(first.length + second.length);
  result.set(first);
  result.set(second, first.length);
  return result;
}
