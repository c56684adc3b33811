import { float, type GraphBuilder } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { scalar } from "./support/definitions.js";
import {
  type EmitCase,
  gradientErrors,
  nodeCase as node,
  type OperatorCase,
  toleranceOf,
} from "./support/operator-case.js";

const products: readonly OperatorCase[] = [
  {
    name: "MatMul of matrices",
    inputs: [
      [2, 3],
      [3, 4],
    ],
    emit: node("MatMul"),
  },
  {
    name: "MatMul of batches",
    inputs: [
      [2, 2, 3],
      [2, 3, 2],
    ],
    emit: node("MatMul"),
  },
  {
    name: "MatMul of a batch and a matrix",
    inputs: [
      [2, 2, 3],
      [3, 2],
    ],
    emit: node("MatMul"),
  },
  {
    name: "MatMul of a matrix and a batch",
    inputs: [
      [2, 3],
      [2, 3, 2],
    ],
    emit: node("MatMul"),
  },
  {
    name: "MatMul of batches that broadcast",
    inputs: [
      [2, 1, 2, 3],
      [3, 3, 2],
    ],
    emit: node("MatMul"),
  },
  { name: "MatMul of vectors", inputs: [[3], [3]], emit: node("MatMul"), needs: "rank" },
  { name: "MatMul of a vector and a batch", inputs: [[3], [2, 3, 2]], emit: node("MatMul"), needs: "rank" },
  { name: "MatMul of a batch and a vector", inputs: [[2, 2, 3], [3]], emit: node("MatMul"), needs: "rank" },
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) => ({
      name: `Gemm, transA ${transA}, transB ${transB}`,
      inputs: [transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4], [4]],
      emit: node("Gemm", { transA, transB, alpha: float(0.5), beta: float(0.25) }),
    })),
  ),
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) => ({
      name: `FusedMatMul, transA ${transA}, transB ${transB}`,
      inputs: [transA ? [2, 3, 2] : [2, 2, 3], transB ? [2, 3] : [3, 2]],
      emit: node("com.microsoft:FusedMatMul", { transA, transB, alpha: float(0.5) }),
      definition: (...[graph, [a, b], type]: Parameters<EmitCase>) => {
        const turn = (x: string, perm: readonly number[]) =>
          graph.node("Transpose", [x], { name: `turn ${x}`, attributes: { perm } });
        const factors = [transA ? turn(a!, [0, 2, 1]) : a!, transB ? turn(b!, [1, 0]) : b!];
        const product = graph.node("MatMul", factors, { name: "product" });
        return graph.node("Mul", [product, scalar(graph, 0.5, type)], { name: "scaled" });
      },
    })),
  ),
];

const reductions: readonly OperatorCase[] = [
  ...["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"].flatMap((operator) => [
    { name: `${operator} of all`, inputs: [[2, 3]], emit: node(operator, { keepdims: 0 }) },
    { name: `${operator} of an axis`, inputs: [[2, 3]], emit: node(operator, {}, [-1]) },
    {
      name: `${operator} of two axes that go`,
      inputs: [[2, 3, 2]],
      emit: node(operator, { keepdims: 0 }, [0, 2]),
    },
    {
      name: `${operator} of no axes`,
      inputs: [[2, 3]],
      emit: node(operator, { noop_with_empty_axes: 1 }),
    },
  ]),
  { name: "Softmax", inputs: [[2, 3]], emit: node("Softmax", { axis: -1 }) },
  { name: "Softmax along the first axis", inputs: [[2, 3]], emit: node("Softmax", { axis: 0 }) },
  { name: "LogSoftmax", inputs: [[2, 3]], emit: node("LogSoftmax", { axis: 1 }) },
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) => ({
      name: `CumSum, exclusive ${exclusive}, reverse ${reverse}`,
      inputs: [[2, 4]],
      emit: (...[graph, [x]]: Parameters<EmitCase>) =>
        graph.node("CumSum", [x!, graph.int64([1], [])], {
          name: "node",
          attributes: { exclusive, reverse },
        }),
    })),
  ),
];

const norms: readonly OperatorCase[] = [
  {
    name: "LayerNormalization",
    inputs: [[2, 5], [5], [5]],
    emit: node("LayerNormalization", { axis: -1, epsilon: float(0.01) }),
  },
  {
    name: "LayerNormalization of two axes, without bias",
    inputs: [
      [2, 2, 3],
      [2, 3],
    ],
    emit: node("LayerNormalization", { axis: 1 }),
    needs: "dims",
  },
  {
    name: "SimplifiedLayerNormalization",
    inputs: [[2, 5], [5]],
    emit: node("SimplifiedLayerNormalization", { axis: -1, epsilon: float(0.01) }),
  },
  {
    name: "SkipSimplifiedLayerNormalization",
    inputs: [[1, 2, 4], [1, 2, 4], [4], [4]],
    emit: (graph, inputs) => {
      const names = ["y", "", "", "sum"];
      graph.nodeWithOutputs("SkipSimplifiedLayerNormalization", inputs, names, {
        name: "node",
        domain: "com.microsoft",
        attributes: { epsilon: float(0.01) },
      });
      return ["y", "sum"];
    },
    definition: (graph, [x, skip, weight, bias], type) => {
      const skipped = graph.node("Add", [x!, skip!], { name: "skipped" });
      const sum = graph.node("Add", [skipped, bias!], { name: "sum" });
      return [emitRms(graph, sum, weight!, type), sum];
    },
  },
];

/** RMSNorm by its definition. */
function emitRms(...[graph, x, weight, type]: [GraphBuilder, string, string, "float32" | "float64"]): string {
  const square = graph.node("Mul", [x, x], { name: "rms/square" });
  const power = graph.node("ReduceMean", [square, graph.int64([-1])], { name: "rms/mean" });
  const shifted = graph.node("Add", [power, scalar(graph, 0.01, type)], { name: "rms/add" });
  const root = graph.node("Sqrt", [shifted], { name: "rms/sqrt" });
  const normed = graph.node("Div", [x, root], { name: "rms/div" });
  return graph.node("Mul", [normed, weight], { name: "rms/mul" });
}

describe("gradients are those of central differences", () => {
  it.each([...products, ...reductions, ...norms])("$name", async (operatorCase) => {
    expect(Math.max(...(await gradientErrors(operatorCase)))).toBeLessThan(toleranceOf(operatorCase));
  });
});
