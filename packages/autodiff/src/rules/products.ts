import { floatAttribute, intAttribute } from "../attributes.js";
import type { GradientEmitter } from "../gradient-emitter.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";
import { countOf, type Dims } from "../shapes/dims.js";
import { once } from "./once.js";

/** The last two axes exchanged, for a value of known rank or any. */
function transposeLast(e: GradientEmitter, x: string, dims: Dims): string {
  if (dims === undefined) return e.node("Einsum", [x], { equation: "...ij->...ji" });
  const axes = dims.map((_, axis) => axis);
  const rank = axes.length;
  return e.node("Transpose", [x], { perm: [...axes.slice(0, -2), rank - 1, rank - 2] });
}

/** A factor of a product, as a matrix or a batch of matrices: a vector counts as one row on the left, one column on the right. */
interface Factor {
  readonly input: 0 | 1;
  readonly isVector: boolean;
  /** Whether the product takes it transposed. */
  readonly isTurned: boolean;
  /** Dimensions of the matrix. */
  readonly dims: Dims;
}

function factorOf(n: DifferentiatedNode, input: 0 | 1): Factor {
  const dims = n.inputDims(input);
  const isVector = dims?.length === 1;
  const matrix = input === 0 ? [1, ...(dims ?? [])] : [...(dims ?? []), 1];
  const isTurned = intAttribute(n.node, input === 0 ? "transA" : "transB", 0) === 1;
  return { input, isVector, isTurned, dims: isVector ? matrix : dims };
}

/** The transpose of a factor as the product takes it. */
function emitTransposed(n: DifferentiatedNode, { input, isVector, isTurned, dims }: Factor): string {
  const { e } = n;
  const matrix = isVector ? e.node("Unsqueeze", [n.input(input), e.ints([input])]) : n.input(input);
  return isTurned ? matrix : transposeLast(e, matrix, dims);
}

/** The gradient of the product as a matrix or a batch of matrices, times what the product is scaled by. */
function emitMatrixGradient(n: DifferentiatedNode, left: Factor, right: Factor): string {
  const { e, node, type } = n;
  const addAxis = (x: string, axis: number) => e.node("Unsqueeze", [x, e.ints([axis])]);
  const rows = left.isVector ? addAxis(n.upstream(), right.isVector ? -1 : -2) : n.upstream();
  const matrix = right.isVector ? addAxis(rows, -1) : rows;
  return e.scale(matrix, floatAttribute(node, "alpha", 1), type);
}

/** The gradient of a factor from that of what the product takes: turned back, summed over its batch, a vector again. */
function emitFactorGradient(n: DifferentiatedNode, gradient: string, factor: Factor, batch: Dims): string {
  const { e } = n;
  const { input, isTurned, isVector, dims } = factor;
  const whole = batch && dims && [...batch, ...dims.slice(-2)];
  const turned = isTurned ? transposeLast(e, gradient, whole) : gradient;
  if (!isVector) return n.reduceTo(turned, input, whole);
  const axis = input === 0 ? -2 : -1;
  const vectors = e.node("Squeeze", [turned, e.ints([axis])]);
  return n.reduceTo(vectors, input, batch && [...batch, dims!.at(input === 0 ? -1 : -2)]);
}

/** MatMul, and ONNX Runtime's FusedMatMul, which multiplies transposed matrices by a number. */
export const matMul: GradientRule = (n) => {
  const { e, node } = n;
  if (intAttribute(node, "transBatchA", 0) === 1 || intAttribute(node, "transBatchB", 0) === 1)
    n.refuse("transposed batches have no gradient here");
  const [left, right] = [factorOf(n, 0), factorOf(n, 1)];
  const dy = once(() => emitMatrixGradient(n, left, right));
  const output = n.outputDims();
  const axes = [left, right].filter(({ isVector }) => !isVector).length;
  const batch = output?.slice(0, output.length - axes);
  return [
    () => emitFactorGradient(n, e.node("MatMul", [dy(), emitTransposed(n, right)]), left, batch),
    () =>
      isSharedMatrix(n) && !left.isTurned && !right.isTurned
        ? emitSharedGradient(n, dy())
        : emitFactorGradient(n, emitRightGradient(n, [left, right], dy()), right, batch),
  ];
};

/**
 * `Aᵀ dY`, or the transpose of `dYᵀ A` where that turns fewer numbers: shares of attention are many more than the values that
 * they weigh, and to turn them takes a GPU as long as a product.
 */
function emitRightGradient(
  n: DifferentiatedNode,
  [left, right]: readonly [Factor, Factor],
  dy: string,
): string {
  const { e } = n;
  if (left.isVector || right.isVector || left.isTurned || !turnsFewer(n, [n.outputDims(), n.inputDims(1)]))
    return e.node("MatMul", [emitTransposed(n, left), dy]);
  const turned = e.node("MatMul", [transposeLast(e, dy, n.outputDims()), n.input(0)]);
  return transposeLast(e, turned, n.outputDims());
}

/** Whether these values have fewer numbers together than the left factor. */
function turnsFewer(n: DifferentiatedNode, values: readonly Dims[]): boolean {
  const [left, ...others] = [n.inputDims(0), ...values].map(countOf);
  return left !== undefined && others.reduce((sum: number, count = left) => sum + count, 0) < left;
}

/** One matrix that all matrices of a batch are multiplied by, such as a weight. */
const isSharedMatrix = (n: DifferentiatedNode): boolean =>
  n.inputDims(1)?.length === 2 && (n.inputDims(0)?.length ?? 0) > 2;

/**
 * Rows of a product that are summed apart where there are very many: a GPU gives each few numbers of the result to one group of
 * threads, and most of it would wait for the few that go through all rows.
 */
const [MANY_ROWS, ROWS_APART] = [8192, 1024];

/** How many runs of `ROWS_APART` rows there are, where there are many rows and these fill them. */
function rowRuns(n: DifferentiatedNode): number | undefined {
  const rows = countOf(n.inputDims(0)?.slice(0, -1)) ?? 0;
  return rows >= MANY_ROWS && rows % ROWS_APART === 0 ? rows / ROWS_APART : undefined;
}

/**
 * One product over all rows of the batch, instead of one for each matrix and their sum; or over runs of many rows. Of the two
 * factors, the smaller one is turned.
 */
function emitSharedGradient(n: DifferentiatedNode, dy: string): string {
  const { e } = n;
  const product = rowRuns(n) === undefined ? emitRowsProduct : emitRunsProduct;
  if (!turnsFewer(n, [n.outputDims()])) return product(n, n.input(0), dy);
  return e.node("Transpose", [product(n, dy, n.input(0))], { perm: [1, 0] });
}

/** `Aᵀ B` of two values `[..., rows, width]`. */
function emitRowsProduct({ e }: DifferentiatedNode, a: string, b: string): string {
  const rows = (x: string) => e.node("Flatten", [x], { axis: -1 });
  return e.node("MatMul", [e.node("Transpose", [rows(a)], { perm: [1, 0] }), rows(b)]);
}

function emitRunsProduct(n: DifferentiatedNode, a: string, b: string): string {
  const { e } = n;
  const apart = (x: string) => e.reshape(x, e.ints([rowRuns(n)!, ROWS_APART, -1]));
  const products = e.node("MatMul", [e.node("Transpose", [apart(a)], { perm: [0, 2, 1] }), apart(b)]);
  return e.node("ReduceSum", [products, e.ints([0])], { keepdims: 0 });
}

/** `Y = alpha A' B' + beta C`, with `A'` and `B'` transposed where asked for. */
export const gemm: GradientRule = (n) => {
  const { e, node, type } = n;
  const [turnA, turnB] = [intAttribute(node, "transA", 0), intAttribute(node, "transB", 0)];
  const dy = once(() => e.scale(n.upstream(), floatAttribute(node, "alpha", 1), type));
  const product = (a: string, b: string, transA: number, transB: number) =>
    e.node("Gemm", [a, b], { transA, transB });
  return [
    () =>
      turnA === 1 ? product(n.input(1), dy(), turnB, 1) : product(dy(), n.input(1), 0, turnB === 1 ? 0 : 1),
    () =>
      turnB === 1 ? product(dy(), n.input(0), 1, turnA) : product(n.input(0), dy(), turnA === 1 ? 0 : 1, 0),
    () => n.reduceTo(e.scale(n.upstream(), floatAttribute(node, "beta", 1), type), 2),
  ];
};
