import { createMatrix, type Matrix } from "@kvfold/linalg";

/**
 * Products of tall matrices of few columns, in float64. Those of `@kvfold/linalg` copy their factors at each call into the order
 * that they are read in, which pays for itself over hundreds of terms only.
 */

/** Terms that are added at once: each sum is read and written once for all of them. */
const TERMS = 4;
/** Rows that are multiplied at once: each number of the other factor is read once for both. */
export const ROWS = 2;

/** Numbers between rows of `width` numbers that are multiplied: rows end with zeros. */
export const strideOf = (width: number): number => TERMS * Math.ceil(width / TERMS);

/**
 * Adds to two rows of sums `[2, stride]` what two rows `[2, stride]` times a matrix `[stride, stride]` come to; of a matrix that is
 * lower triangular only that triangle is read.
 */
export function addRowProducts(
  sums: Float64Array,
  rows: Float64Array,
  matrix: Float64Array,
  { stride: numbers, isLower }: { readonly stride: number; readonly isLower: boolean },
): void {
  // An integer, and numbers one by one: V8 takes twice as long with quotients, and with numbers that are taken out of an array.
  // Two columns in one turn of the loop take a twentieth less.
  const stride = numbers | 0;
  const second = stride;
  const third = 2 * stride;
  const fourth = 3 * stride;
  for (let i = 0; i < stride; i += TERMS) {
    const other = stride + i;
    const end = isLower ? i + TERMS : stride;
    const a = rows[i]!;
    const b = rows[i + 1]!;
    const c = rows[i + 2]!;
    const d = rows[i + 3]!;
    const e = rows[other]!;
    const f = rows[other + 1]!;
    const g = rows[other + 2]!;
    const h = rows[other + 3]!;
    for (let j = 0, at = i * stride; j < end; j++, at++) {
      const p = matrix[at]!;
      const q = matrix[at + second]!;
      const r = matrix[at + third]!;
      const s = matrix[at + fourth]!;
      sums[j]! += a * p + b * q + c * r + d * s;
      sums[stride + j]! += e * p + f * q + g * r + h * s;
      j++;
      at++;
      const t = matrix[at]!;
      const u = matrix[at + second]!;
      const v = matrix[at + third]!;
      const w = matrix[at + fourth]!;
      sums[j]! += a * t + b * u + c * v + d * w;
      sums[stride + j]! += e * t + f * u + g * v + h * w;
    }
  }
}

/**
 * `A B`: `[n, k]` and `[k, k]` give `[n, k]`.
 *
 * Numerics: float64 sums, rounded once.
 *
 * @param target - Where the product is written, as many numbers as `rows` has; not `rows` itself.
 */
export function multiplyRows(
  target: Float32Array,
  rows: Float32Array | Int8Array,
  { cols: width, data }: Matrix,
): void {
  const stride = strideOf(width);
  const matrix = new Float64Array(stride * stride);
  for (let row = 0; row < width; row++)
    matrix.set(data.subarray(row * width, (row + 1) * width), row * stride);
  const [block, sums] = [new Float64Array(ROWS * stride), new Float64Array(ROWS * stride)];
  for (let start = 0; start < rows.length; start += ROWS * width) {
    const end = Math.min(start + ROWS * width, rows.length);
    for (let at = start, place = 0; at < end; place += stride)
      for (let j = 0; j < width; j++, at++) block[place + j] = rows[at]!;
    sums.fill(0);
    addRowProducts(sums, block, matrix, { stride, isLower: false });
    for (let at = start, place = 0; at < end; place += stride)
      for (let j = 0; j < width; j++, at++) target[at] = sums[place + j]!;
  }
}

/** Sums over the rows of a matrix. */
export interface RowSums {
  /** `[width]`: of the rows themselves. */
  readonly sums: Float64Array;
  /** `[width, width]`: `Aᵀ A`. */
  readonly gram: Matrix;
}

/**
 * Sums over rows `[n, width]` in one pass.
 *
 * Numerics: float64 sums of four terms at a time.
 */
export function sumRows(rows: Float32Array, width: number): RowSums {
  const stride = width + (width % 2);
  const [sums, products] = [new Float64Array(width), new Float64Array(stride * stride)];
  const block = new Float64Array(TERMS * stride);
  for (let start = 0; start < rows.length; start += TERMS * width) {
    const end = Math.min(start + TERMS * width, rows.length);
    if (end - start < TERMS * width) block.fill(0);
    loadAndSum(block, sums, { rows, start, end, stride });
    addOwnProducts(products, block, stride);
  }
  const gram = createMatrix(width, width);
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++)
      gram.data[i * width + j] = gram.data[j * width + i] = products[i * stride + j]!;
  return { sums, gram };
}

interface Loaded {
  readonly rows: Float32Array;
  readonly start: number;
  readonly end: number;
  readonly stride: number;
}

/** Copies the numbers `[start, end)`, whole rows, to places `stride` numbers apart, and adds the rows to their sums. */
function loadAndSum(block: Float64Array, sums: Float64Array, { rows, start, end, stride }: Loaded): void {
  for (let at = start, place = 0; at < end; place += stride)
    for (let j = 0; j < sums.length; j++, at++) {
      const value = rows[at]!;
      block[place + j] = value;
      sums[j]! += value;
    }
}

/**
 * Adds the lower triangle of `blockᵀ block`, of four rows and an even number of columns. Two rows of sums are added to at a time:
 * each number of the block is read once for both, and no sum waits for another.
 */
function addOwnProducts(sums: Float64Array, block: Float64Array, width: number): void {
  // As in addRowProducts, also two columns in one turn of the loop.
  const stride = width | 0;
  const second = stride;
  const third = 2 * stride;
  const fourth = 3 * stride;
  for (let i = 0; i < stride; i += 2) {
    const odd = i + 1;
    const a = block[i]!;
    const b = block[second + i]!;
    const c = block[third + i]!;
    const d = block[fourth + i]!;
    const e = block[odd]!;
    const f = block[second + odd]!;
    const g = block[third + odd]!;
    const h = block[fourth + odd]!;
    for (let j = 0, at = i * stride; j <= odd; j++, at++) {
      const p = block[j]!;
      const q = block[second + j]!;
      const r = block[third + j]!;
      const s = block[fourth + j]!;
      sums[at]! += a * p + b * q + c * r + d * s;
      sums[at + stride]! += e * p + f * q + g * r + h * s;
      j++;
      at++;
      const t = block[j]!;
      const u = block[second + j]!;
      const v = block[third + j]!;
      const w = block[fourth + j]!;
      sums[at]! += a * t + b * u + c * v + d * w;
      sums[at + stride]! += e * t + f * u + g * v + h * w;
    }
  }
}
