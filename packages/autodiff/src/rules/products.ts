import { floatAttribute, intAttribute } from "../attributes.js";
import type { GradientEmitter } from "../gradient-emitter.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";
import type { Dims } from "../shapes/dims.js";
import { once } from "./once.js";

/** The last two axes exchanged, for a value of known rank or any. */
function transposeLast(e: GradientEmitter, x: string, dims: Dims): string {
  if (dims === undefined) return e.node("Einsum", [x], { equation: "...ij->...ji" });
  const axes = dims.map((_, axis) => axis);
  const rank = axes.length;
  return e.node("Transpose", [x], { perm: [...axes.slice(0, -2), rank - 1, rank - 2] });
}

/** MatMul, and ONNX Runtime's FusedMatMul, which multiplies transposed matrices by a number. */
export const matMul: GradientRule = (n) => {
  const { e, node, type } = n;
  if (intAttribute(node, "transBatchA", 0) === 1 || intAttribute(node, "transBatchB", 0) === 1)
    n.refuse("transposed batches have no gradient here");
  const isVector = (index: number) => n.inputDims(index)?.length === 1;
  const addAxis = (x: string, axis: number) => e.node("Unsqueeze", [x, e.ints([axis])]);
  const dropAxis = (x: string, axis: number) => e.node("Squeeze", [x, e.ints([axis])]);
  const dy = once(() => {
    const rows = isVector(0) ? addAxis(n.upstream(), isVector(1) ? -1 : -2) : n.upstream();
    const matrix = isVector(1) ? addAxis(rows, -1) : rows;
    return e.scale(matrix, floatAttribute(node, "alpha", 1), type);
  });
  const isTurned = (index: number) => intAttribute(node, index === 0 ? "transA" : "transB", 0) === 1;
  const dims = (index: number): Dims => {
    const found = n.inputDims(index);
    if (!isVector(index)) return found;
    return index === 0 ? [1, ...found!] : [...found!, 1];
  };
  /** A factor as a matrix `[.., rows, inner]` or `[.., inner, columns]`, or its transpose. */
  const factor = (index: number, transposed: boolean): string => {
    const matrix = isVector(index) ? addAxis(n.input(index), index === 0 ? 0 : 1) : n.input(index);
    return isTurned(index) === transposed ? matrix : transposeLast(e, matrix, dims(index));
  };
  const batch = (index: number): Dims => {
    const [output, input] = [n.outputDims(), dims(index)];
    const axes = 2 - (isVector(0) ? 1 : 0) - (isVector(1) ? 1 : 0);
    return output && input && [...output.slice(0, output.length - axes), ...input.slice(-2)];
  };
  const finish = (gradient: string, index: number): string => {
    const turned = isTurned(index) ? transposeLast(e, gradient, batch(index)) : gradient;
    if (!isVector(index)) return n.reduceTo(turned, index, batch(index));
    const from = batch(index)?.filter((_, axis, all) => axis !== all.length - (index === 0 ? 2 : 1));
    return n.reduceTo(dropAxis(turned, index === 0 ? -2 : -1), index, from);
  };
  return [
    () => finish(e.node("MatMul", [dy(), factor(1, true)]), 0),
    () =>
      isSharedMatrix(n) && !isTurned(0) && !isTurned(1)
        ? emitSharedGradient(n, dy())
        : finish(e.node("MatMul", [factor(0, true), dy()]), 1),
  ];
};

/** One matrix that all matrices of a batch are multiplied by, such as a weight. */
const isSharedMatrix = (n: DifferentiatedNode): boolean =>
  n.inputDims(1)?.length === 2 && (n.inputDims(0)?.length ?? 0) > 2;

/** One product over all rows of the batch, instead of one for each matrix and their sum. */
function emitSharedGradient({ e, ...n }: DifferentiatedNode, dy: string): string {
  const rows = (x: string) => e.node("Flatten", [x], { axis: -1 });
  return e.node("MatMul", [e.node("Transpose", [rows(n.input(0))], { perm: [1, 0] }), rows(dy)]);
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
