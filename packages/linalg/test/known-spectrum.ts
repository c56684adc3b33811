import { createMatrix, type Matrix, slice } from "../src/index.js";

/**
 * `H diag(values) H` and its eigenvectors, the columns of the reflector `H = I - 2 u uᵀ / uᵀu` with `u_i` between 1 and 2:
 * a dense symmetric matrix whose spectrum is known in closed form.
 */
export function knownSpectrum(values: readonly number[]): { matrix: Matrix; vectors: Matrix } {
  const n = values.length;
  const u = Float64Array.from({ length: n }, (_, i) => 1 + ((i * 0.618) % 1));
  const scale = 2 / u.reduce((sum, value) => sum + value * value, 0);
  const vectors = fill(n, (i, j) => (i === j ? 1 : 0) - scale * u[i]! * u[j]!);
  const weighted = scale * scale * u.reduce((sum, value, i) => sum + value * value * values[i]!, 0);
  const matrix = fill(
    n,
    (i, j) =>
      (i === j ? values[i]! : 0) -
      scale * u[i]! * u[j]! * (values[i]! + values[j]!) +
      weighted * u[i]! * u[j]!,
  );
  return { matrix, vectors };
}

/** The first columns. */
export const leading = (vectors: Matrix, rank: number): Matrix => slice(vectors, { cols: [0, rank] });

function fill(n: number, at: (row: number, col: number) => number): Matrix {
  return createMatrix(
    n,
    n,
    Float64Array.from({ length: n * n }, (_, index) => at(Math.floor(index / n), index % n)),
  );
}
