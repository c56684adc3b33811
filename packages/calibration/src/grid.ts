/**
 * Numbers on a grid, whose sums in float64 have the same bits in whichever order they are added: each number is first rounded to
 * a multiple of a power of two, chosen so that no sum needs more than the 53 bits of a float64.
 * J. Demmel and H. D. Nguyen, "Fast reproducible floating-point summation", ARITH 2013.
 *
 * Numerics: a number is rounded by half a step of its grid, 2^-31 of the size that the grid was made for: less than float32 rounds by.
 * Sums up to 2^22 times that size are exact; larger ones are as good as float64, but depend on the order.
 */

/** A grid's step is so many powers of two below the size that it is made for. */
const BITS_BELOW = 30;

/** `(x + c) - c` rounds `x` to a multiple of the step, where `c` is 1.5 * 2^52 steps. */
const ROUNDING = 1.5 * 2 ** (52 - BITS_BELOW);

/** Rows `[start, end)` of a product from column `from` on, as they follow one another in memory. */
export interface ProductRows {
  readonly start: number;
  readonly end: number;
  readonly from: number;
}

/** The power of two that a size is below; those of zeros are the least of the others, or 0 where all are zero. */
export function exponentsOf(sizes: Float64Array): readonly number[] {
  const least = sizes.reduce((lowest, size) => (size > 0 ? Math.min(lowest, size) : lowest), Infinity);
  return Array.from(sizes, (size) =>
    least === Infinity ? 0 : Math.ceil(Math.log2(size > 0 ? size : least)),
  );
}

/** Adds numbers to a total, each as it is. */
export function addPlainly(total: Float64Array, part: Float32Array): void {
  for (let at = 0; at < total.length; at++) total[at]! += part[at]!;
}

/** Adds sums `[W]`, rounded to the grids of their sizes `2^exponents`. */
export function addSumOnGrid(total: Float64Array, part: Float32Array, exponents: readonly number[]): void {
  for (let at = 0; at < total.length; at++) {
    const rounding = ROUNDING * 2 ** exponents[at]!;
    total[at]! += part[at]! + rounding - rounding;
  }
}

/** How a product lies in memory, and the sizes `2^exponents` of the rows and columns. */
export interface ProductGrid {
  readonly layout: readonly ProductRows[];
  readonly rows: readonly number[];
  readonly columns: readonly number[];
}

/** Adds a product, each of its numbers rounded to the grid of the size of its row by that of its column. */
export function addProductOnGrid(total: Float64Array, part: Float32Array, grid: ProductGrid): void {
  const { layout, rows } = grid;
  const columns = Float64Array.from(grid.columns, (exponent) => 2 ** exponent);
  let offset = 0;
  for (const { start, end, from } of layout)
    for (let row = start; row < end; row++) {
      addRow(total, part, { offset, from, rounding: ROUNDING * 2 ** rows[row]! }, columns);
      offset += columns.length - from;
    }
}

interface ProductRow {
  /** Where it begins in memory. */
  readonly offset: number;
  readonly from: number;
  readonly rounding: number;
}

/** All rows of a window are up to 50 million numbers. */
function addRow(
  total: Float64Array,
  part: Float32Array,
  { offset, from, rounding }: ProductRow,
  columns: Float64Array,
): void {
  for (let column = from, at = offset; column < columns.length; column++, at++) {
    const own = rounding * columns[column]!;
    total[at]! += part[at]! + own - own;
  }
}
