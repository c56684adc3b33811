/**
 * Algorithms are written once, as generators that yield their products and go on when these are made. Run in place
 * they are plain functions; run through a port their products leave JavaScript. All else is the same code.
 */
import { createMatrix, type Matrix } from "../matrix.js";
import type { MatrixProducts } from "../matrix-products.js";
import { accumulateProduct } from "./accumulate-product.js";
import { requireShape } from "./requirements.js";
import { transposeView, type View, viewOf, windowOf } from "./view.js";

/** `target += factor · left · right`; `target` must not overlap the others. */
export interface ProductStep {
  readonly target: View;
  readonly left: View;
  readonly right: View;
  readonly factor: number;
}

/** An algorithm that asks whoever runs it for its products. */
export type Steps<Result> = Generator<ProductStep, Result, void>;

/**
 * Multiply-adds below which a product stays in JavaScript: handing one to ONNX Runtime costs about 50 microseconds, in
 * which the kernel here does some 80000.
 */
const smallestOutside = 2 ** 17;

/** Numbers of a product that leaves JavaScript at once: 16 MiB, so that the copies of a large factorisation stay small. */
const largestBand = 2 ** 21;

/** The least rows of a band; the rows of every band but the last are a multiple of it. */
const leastBand = 64;

/** Runs `steps` with the kernel of this package, in place. */
export function runInPlace<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    accumulate(step.value);
  }
}

/** Runs `steps`, with the products that are large enough for the way made by `products`. */
export async function runThrough<Result>(products: MatrixProducts, steps: Steps<Result>): Promise<Result> {
  const copies = { left: createScratch(), right: createScratch() };
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    const { left, right } = step.value;
    if (left.rows * left.cols * right.cols < smallestOutside) accumulate(step.value);
    else await accumulateThrough(products, step.value, copies);
  }
}

/** The product in bands of its rows, which bound the memory of a band's copy and of its result. */
async function accumulateThrough(
  products: MatrixProducts,
  { target, left, right, factor }: ProductStep,
  copies: Sides<Scratch>,
): Promise<void> {
  const timesRight = productsWith(products, right, copies);
  const height = bandHeight(left, right);
  for (let start = 0; start < left.rows; start += height) {
    const end = Math.min(start + height, left.rows);
    const band = (view: View) => windowOf(view, start, end, 0, view.cols);
    const product = await timesRight(band(left));
    requireShape("MatrixProducts", "the product", product, end - start, right.cols);
    addInto(band(target), product, factor);
  }
}

/** As many rows as keep a band's result, and its copy where it has to be copied, to `largestBand` numbers. */
function bandHeight(left: View, right: View): number {
  const isWhole = liesWhole(left) || liesWhole(transposeView(left));
  const width = isWhole ? right.cols : Math.max(left.cols, right.cols);
  return leastBand * Math.max(Math.floor(largestBand / width / leastBand), 1);
}

/** `left · right` as a matrix of its own. */
export function* multiplied(left: View, right: View): Steps<Matrix> {
  const result = createMatrix(left.rows, right.cols);
  yield { target: viewOf(result), left, right, factor: 1 };
  return result;
}

/** `target = left · right`; `target`, whose rows lie whole in memory, may overlap the others. */
export function* overwriteByProduct(target: View, left: View, right: View): Steps<void> {
  const { cols, data } = yield* multiplied(left, right);
  for (let i = 0; i < target.rows; i++)
    target.data.set(data.subarray(i * cols, (i + 1) * cols), target.offset + i * target.rowStride);
}

const accumulate = ({ target, left, right, factor }: ProductStep): void =>
  accumulateProduct(target, left, right, factor);

/** One for each side of a product. */
interface Sides<T> {
  readonly left: T;
  readonly right: T;
}

/** `left · right` for one `right`. Transposed windows go as they lie in memory, by the method that transposes them back. */
function productsWith(
  products: MatrixProducts,
  right: View,
  copies: Sides<Scratch>,
): (left: View) => Promise<Matrix> {
  const compactLeft = (view: View) => compact(view, copies.left);
  if (isTransposed(right)) {
    const transposed = compact(transposeView(right), copies.right);
    return (left) => products.multiplyTransposed(compactLeft(left), transposed);
  }
  const plain = compact(right, copies.right);
  return (left) =>
    isTransposed(left)
      ? products.transposeMultiply(compactLeft(transposeView(left)), plain)
      : products.multiply(compactLeft(left), plain);
}

/** Whether the values lie side by side, row by row. */
const liesWhole = ({ cols, rowStride, colStride }: View): boolean => colStride === 1 && rowStride === cols;

const isTransposed = ({ rowStride, colStride }: View): boolean => colStride !== 1 && rowStride === 1;

/** Memory for so many numbers, whatever was in it; valid until it is asked for again. */
type Scratch = (size: number) => Float64Array;

/**
 * The windows of a large factorisation take gigabytes, one after the other, and what is dropped stays in memory until it
 * is collected: they share one piece, which doubles where it is too small.
 */
function createScratch(): Scratch {
  let memory = new Float64Array(0);
  return (size) => {
    if (memory.length < size) memory = new Float64Array(Math.max(size, 2 * memory.length));
    return memory.subarray(0, size);
  };
}

/** The window as a matrix; copied only where its values do not lie side by side. */
function compact(view: View, scratch: Scratch): Matrix {
  const { data, offset, rows, cols, rowStride, colStride } = view;
  if (liesWhole(view)) return createMatrix(rows, cols, data.subarray(offset, offset + rows * cols));
  const values = scratch(rows * cols);
  for (let i = 0; i < rows; i++) {
    const from = offset + i * rowStride;
    if (colStride === 1) values.set(data.subarray(from, from + cols), i * cols);
    else for (let j = 0; j < cols; j++) values[i * cols + j] = data[from + j * colStride]!;
  }
  return createMatrix(rows, cols, values);
}

/** `target += factor · product` */
function addInto(
  { data, offset, rowStride, colStride }: View,
  { rows, cols, data: product }: Matrix,
  factor: number,
): void {
  for (let i = 0; i < rows; i++) {
    let to = offset + i * rowStride;
    const end = (i + 1) * cols;
    for (let from = i * cols; from < end; from++, to += colStride) data[to]! += factor * product[from]!;
  }
}
