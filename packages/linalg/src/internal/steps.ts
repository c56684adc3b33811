/**
 * Algorithms are written once, as generators that yield their products and go on when these are made. Run in place
 * they are plain functions; run through a port their products leave JavaScript. All else is the same code.
 */
import { createMatrix, type Matrix } from "../matrix.js";
import type { MatrixProducts } from "../matrix-products.js";
import { accumulateProduct } from "./accumulate-product.js";
import { requireShape } from "./requirements.js";
import { transposeView, type View, viewOf } from "./view.js";

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
    const { target, left, right, factor } = step.value;
    if (left.rows * left.cols * right.cols < smallestOutside) accumulate(step.value);
    else addInto(target, await productThrough(products, { left, right }, copies), factor);
  }
}

/** `left · right` as a matrix of its own. */
export function* multiplied(left: View, right: View): Steps<Matrix> {
  const result = createMatrix(left.rows, right.cols);
  yield { target: viewOf(result), left, right, factor: 1 };
  return result;
}

const accumulate = ({ target, left, right, factor }: ProductStep): void =>
  accumulateProduct(target, left, right, factor);

/** The two sides of a product. */
interface Sides<T> {
  readonly left: T;
  readonly right: T;
}

async function productThrough(
  products: MatrixProducts,
  sides: Sides<View>,
  copies: Sides<Scratch>,
): Promise<Matrix> {
  const product = await multiplyThrough(products, sides, copies);
  requireShape("MatrixProducts", "the product", product, sides.left.rows, sides.right.cols);
  return product;
}

/** Transposed windows go as they lie in memory, by the method that transposes them back. */
function multiplyThrough(
  products: MatrixProducts,
  { left, right }: Sides<View>,
  copies: Sides<Scratch>,
): Promise<Matrix> {
  const compactLeft = (view: View) => compact(view, copies.left);
  const compactRight = (view: View) => compact(view, copies.right);
  if (isTransposed(right))
    return products.multiplyTransposed(compactLeft(left), compactRight(transposeView(right)));
  if (isTransposed(left))
    return products.transposeMultiply(compactLeft(transposeView(left)), compactRight(right));
  return products.multiply(compactLeft(left), compactRight(right));
}

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
function compact({ data, offset, rows, cols, rowStride, colStride }: View, scratch: Scratch): Matrix {
  if (colStride === 1 && rowStride === cols)
    return createMatrix(rows, cols, data.subarray(offset, offset + rows * cols));
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
