import { identity, type Matrix } from "../matrix.js";
import { NumericalError } from "../numerical-error.js";
import type { LeadingSpectrum } from "./blocked-spectrum.js";
import { leadingSpectrum } from "./leading-spectrum.js";
import { multiplied, type Steps } from "./steps.js";
import { transposeView, viewOf } from "./view.js";

/** `root = M^(1/2)` and `inverseRoot = M^(-1/2)`, symmetric, both `[n, n]`. */
export interface SquareRoots {
  readonly root: Matrix;
  readonly inverseRoot: Matrix;
}

/**
 * The roots of each diagonal block of a positive semi-definite matrix. The floor is relative to the largest eigenvalue
 * of all blocks, so that the result is that of the whole matrix: a zero block beside others gets the floor, and
 * only a matrix that is zero altogether becomes the identity.
 */
export function* blockRoots(caller: string, blocks: readonly Matrix[], floor: number): Steps<SquareRoots[]> {
  requireFloor(caller, floor);
  const spectra: LeadingSpectrum[] = [];
  for (const block of blocks) spectra.push(yield* leadingSpectrum(block, block.rows));
  const largest = spectra.reduce((peak, { allValues }) => Math.max(peak, allValues[0] ?? 0), 0);
  const smallest = spectra.reduce((low, { allValues }) => Math.min(low, allValues.at(-1) ?? 0), 0);
  if (largest === 0 && smallest === 0) {
    return blocks.map(({ rows }) => ({ root: identity(rows), inverseRoot: identity(rows) }));
  }
  requireSemiDefinite(caller, smallest, largest);
  const roots: SquareRoots[] = [];
  for (const spectrum of spectra) roots.push(yield* rootsOf(spectrum, floor * largest));
  return roots;
}

function* rootsOf({ allValues, vectors }: LeadingSpectrum, least: number): Steps<SquareRoots> {
  const roots = allValues.map((value) => Math.sqrt(Math.max(value, least)));
  const inverses = roots.map((root) => 1 / root);
  return { root: yield* recompose(vectors, roots), inverseRoot: yield* recompose(vectors, inverses) };
}

/** `V diag(values) Vᵀ`. */
function* recompose(vectors: Matrix, values: Float64Array): Steps<Matrix> {
  const scaled = vectors.data.map((value, index) => value * values[index % vectors.cols]!);
  return yield* multiplied(viewOf({ ...vectors, data: scaled }), transposeView(viewOf(vectors)));
}

function requireSemiDefinite(caller: string, smallest: number, largest: number): void {
  if (-smallest < largest) return;
  throw new NumericalError(
    "not-positive-definite",
    `${caller}: expected a positive semi-definite matrix, found eigenvalues from ${smallest} to ${largest}; pass a second moment or another sum of squares`,
  );
}

function requireFloor(caller: string, floor: number): void {
  if (floor > 0 && floor <= 1) return;
  throw new NumericalError(
    "invalid-argument",
    `${caller}: expected a floor in (0, 1], found ${floor}; 1e-6 suits float32 moments`,
  );
}
