import { dataTypeCode, float, type GraphBuilder, tensorValue } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { emitErf, scalar } from "./support/definitions.js";
import { type EmitCase, gradientErrors, type OperatorCase } from "./support/operator-case.js";

type Attributes = Parameters<GraphBuilder["node"]>[2]["attributes"];

/** A node of one output that reads the inputs of a case, then constants. */
const node =
  (key: string, attributes: Attributes = {}, ...constants: readonly (readonly number[])[]): EmitCase =>
  (graph, inputs) => {
    const [operator, domain = ""] = key.split(":").toReversed() as [string, string?];
    const ints = constants.map((values) => graph.int64(values));
    return graph.node(operator, [...inputs, ...ints], { name: "node", domain, attributes });
  };

const unary = (operator: string, range?: readonly [number, number]): OperatorCase => ({
  name: operator,
  inputs: [[2, 3]],
  ...(range && { range }),
  emit: node(operator),
});

const elementwise: readonly OperatorCase[] = [
  ...["Neg", "Exp", "Tanh", "Sigmoid", "Identity", "Abs", "Sin", "Cos", "Relu", "Softplus"].map((name) =>
    unary(name),
  ),
  ...["Sqrt", "Log", "Reciprocal"].map((name) => unary(name, [0.5, 2])),
  { name: "LeakyRelu", inputs: [[2, 3]], emit: node("LeakyRelu", { alpha: float(0.25) }) },
];

const broadcasts = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [
    [1, 3],
    [2, 1],
  ],
  [[], [2, 3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
] as const;

const arithmetic: readonly OperatorCase[] = [
  ...["Add", "Sub", "Mul", "Div", "Pow", "Max"].flatMap((operator) =>
    broadcasts.map((inputs) => ({
      name: `${operator} of [${inputs[0]}] and [${inputs[1]}]`,
      inputs,
      range: [0.5, 2] as const,
      emit: node(operator),
    })),
  ),
  ...["Sum", "Min"].map((operator) => ({
    name: `${operator} of three`,
    inputs: [[2, 3], [3], [2, 1]],
    emit: node(operator),
  })),
  {
    name: "Mean of three",
    inputs: [[2, 3], [3], [2, 1]],
    emit: node("Mean"),
    definition: (graph, inputs, type) => {
      const sum = graph.node("Sum", inputs, { name: "sum" });
      return graph.node("Div", [sum, scalar(graph, 3, type)], { name: "mean" });
    },
  },
  {
    name: "Pow of numbers below 0",
    inputs: [[2, 3]],
    range: [-2, -0.5],
    emit: (graph, [x], type) => graph.node("Pow", [x!, scalar(graph, 3, type)], { name: "node" }),
  },
  {
    name: "Where",
    inputs: [[3], [2, 3]],
    emit: (graph, inputs) => {
      const mask = graph.weight("mask", tensorValue("bool", [2, 1], Uint8Array.of(1, 0)));
      return graph.node("Where", [mask, ...inputs], { name: "node" });
    },
  },
  {
    name: "Clip",
    inputs: [[2, 5]],
    emit: (graph, [x], type) =>
      graph.node("Clip", [x!, scalar(graph, -0.5, type), scalar(graph, 0.5, type)], { name: "node" }),
  },
  {
    name: "Clip below",
    inputs: [[2, 5], []],
    emit: (graph, inputs) => graph.node("Clip", inputs, { name: "node" }),
  },
  { name: "a value that is read three times", inputs: [[2, 2]], emit: node3 },
];

/** `x² + x`. */
function node3(...[graph, [x]]: Parameters<EmitCase>): string {
  const square = graph.node("Mul", [x!, x!], { name: "square" });
  return graph.node("Add", [square, x!], { name: "sum" });
}

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
  { name: "MatMul of vectors", inputs: [[3], [3]], emit: node("MatMul") },
  { name: "MatMul of a vector and a batch", inputs: [[3], [2, 3, 2]], emit: node("MatMul") },
  { name: "MatMul of a batch and a vector", inputs: [[2, 2, 3], [3]], emit: node("MatMul") },
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

const layouts: readonly OperatorCase[] = [
  { name: "Reshape", inputs: [[2, 3]], emit: node("Reshape", {}, [3, -1]) },
  { name: "Flatten", inputs: [[2, 3, 2]], emit: node("Flatten", { axis: 1 }) },
  { name: "Squeeze", inputs: [[2, 1, 3]], emit: node("Squeeze", {}, [1]) },
  { name: "Unsqueeze", inputs: [[2, 3]], emit: node("Unsqueeze", {}, [0, -1]) },
  { name: "Expand", inputs: [[3, 1]], emit: node("Expand", {}, [2, 1, 4]) },
  { name: "Transpose", inputs: [[2, 3, 4]], emit: node("Transpose", { perm: [1, 2, 0] }) },
  { name: "Transpose to the reverse", inputs: [[2, 3, 4]], emit: node("Transpose") },
  {
    name: "Concat",
    inputs: [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    emit: node("Concat", { axis: -1 }),
  },
  {
    name: "Split, one part unused",
    inputs: [[2, 5]],
    emit: (graph, [x]) => {
      const names = ["a", "b", "c"];
      graph.nodeWithOutputs("Split", [x!, graph.int64([2, 2, 1])], names, {
        name: "node",
        attributes: { axis: 1 },
      });
      return ["a", "c"];
    },
  },
  { name: "Slice", inputs: [[3, 5]], emit: node("Slice", {}, [1], [-1], [1]) },
  { name: "Slice of two axes", inputs: [[3, 5]], emit: node("Slice", {}, [-2, 0], [99, 3]) },
  { name: "Slice with steps", inputs: [[3, 5]], emit: node("Slice", {}, [-1], [-9], [1], [-2]) },
  { name: "Pad", inputs: [[2, 3]], emit: node("Pad", {}, [1, 0, 0, 2]) },
  { name: "Trilu", inputs: [[2, 3, 3]], emit: node("Trilu", { upper: 0 }) },
  {
    name: "Gather, indices twice and from the end",
    inputs: [[3, 2]],
    emit: (graph, [x]) =>
      graph.node("Gather", [x!, graph.int64([0, 2, 0, -1], [2, 2])], {
        name: "node",
        attributes: { axis: 0 },
      }),
  },
  {
    name: "Gather of one along the last axis",
    inputs: [[2, 3]],
    emit: (graph, [x]) =>
      graph.node("Gather", [x!, graph.int64([1], [])], { name: "node", attributes: { axis: -1 } }),
  },
  {
    name: "GatherElements",
    inputs: [[2, 3]],
    emit: (graph, [x]) =>
      graph.node("GatherElements", [x!, graph.int64([0, 2, 2, 1], [2, 2])], {
        name: "node",
        attributes: { axis: 1 },
      }),
  },
  {
    name: "GatherND",
    inputs: [[2, 3]],
    emit: (graph, [x]) => graph.node("GatherND", [x!, graph.int64([0, 2, 0, 2], [2, 2])], { name: "node" }),
  },
  ...["none", "add"].flatMap((reduction) => [
    {
      name: `ScatterElements, ${reduction}`,
      inputs: [
        [2, 3],
        [1, 2],
      ],
      emit: (...[graph, [x, updates]]: Parameters<EmitCase>) =>
        graph.node("ScatterElements", [x!, graph.int64([1, 0], [1, 2]), updates!], {
          name: "node",
          attributes: { axis: 1, reduction },
        }),
    },
    {
      name: `ScatterND, ${reduction}`,
      inputs: [
        [3, 2],
        [2, 2],
      ],
      emit: (...[graph, [x, updates]]: Parameters<EmitCase>) =>
        graph.node("ScatterND", [x!, graph.int64([2, 0], [2, 1]), updates!], {
          name: "node",
          attributes: { reduction },
        }),
    },
  ]),
  {
    name: "Cast to float64 and back",
    inputs: [[2, 3]],
    emit: (graph, [x]) => {
      const wide = graph.node("Cast", [x!], { name: "wide", attributes: { to: dataTypeCode("float64") } });
      const square = graph.node("Mul", [wide, wide], { name: "square" });
      return graph.node("Cast", [square], { name: "narrow", attributes: { to: dataTypeCode("float32") } });
    },
    definition: (graph, [x]) => graph.node("Mul", [x!, x!], { name: "square" }),
  },
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
    needsDims: true,
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

/** `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`. */
const emitTanhGelu: EmitCase = (graph, inputs, type) => {
  const name = (step: string) => ({ name: `gelu/${step}` });
  const x = inputs.length === 1 ? inputs[0]! : graph.node("Add", inputs, name("bias"));
  const cube = graph.node("Mul", [graph.node("Mul", [x, x], name("square")), x], name("cube"));
  const bent = graph.node("Mul", [cube, scalar(graph, 0.044715, type)], name("bent"));
  const inner = graph.node("Add", [x, bent], name("inner"));
  const scaled = graph.node("Mul", [inner, scalar(graph, Math.sqrt(2 / Math.PI), type)], name("scaled"));
  const share = graph.node(
    "Add",
    [graph.node("Tanh", [scaled], name("tanh")), scalar(graph, 1, type)],
    name("one"),
  );
  const half = graph.node("Mul", [share, scalar(graph, 0.5, type)], name("half"));
  return graph.node("Mul", [x, half], name("mul"));
};

/** `x (1 + erf(x / √2)) / 2`. */
function emitErfGelu(...[graph, inputs, type]: Parameters<EmitCase>): string {
  const x = inputs.length === 1 ? inputs[0]! : graph.node("Add", inputs, { name: "gelu/bias" });
  const scaled = graph.node("Mul", [x, scalar(graph, Math.SQRT1_2, type)], { name: "gelu/scaled" });
  const share = graph.node("Add", [emitErf(graph, scaled, type), scalar(graph, 1, type)], {
    name: "gelu/one",
  });
  const half = graph.node("Mul", [share, scalar(graph, 0.5, type)], { name: "gelu/half" });
  return graph.node("Mul", [x, half], { name: "gelu/mul" });
}

const older: readonly OperatorCase[] = [
  {
    name: "ReduceMean of operator set 16",
    inputs: [[2, 3]],
    opset: 16,
    emit: node("ReduceMean", { axes: [0], keepdims: 0 }),
  },
  {
    name: "Gather of operator set 16",
    inputs: [[3, 2]],
    opset: 16,
    emit: (graph, [x]) => graph.node("Gather", [x!, graph.int64([2, 2])], { name: "node" }),
  },
  {
    name: "Pad of operator set 16",
    inputs: [[2, 3]],
    opset: 16,
    emit: node("Pad", {}, [1, 0, 0, 2]),
  },
  {
    name: "LayerNormalization of operator set 17",
    inputs: [[2, 5], [5], [5]],
    opset: 17,
    emit: node("LayerNormalization"),
  },
  {
    name: "ReduceMax of operator set 21",
    inputs: [[2, 3]],
    opset: 21,
    emit: node("ReduceMax", { keepdims: 0 }, [1]),
  },
];

const activations: readonly OperatorCase[] = [
  {
    name: "com.microsoft FastGelu",
    inputs: [[2, 3]],
    range: [-3, 3],
    emit: node("com.microsoft:FastGelu"),
    definition: emitTanhGelu,
  },
  {
    name: "com.microsoft FastGelu with a bias",
    inputs: [[2, 3], [3]],
    emit: node("com.microsoft:FastGelu"),
    definition: emitTanhGelu,
  },
  {
    name: "com.microsoft QuickGelu",
    inputs: [[2, 3]],
    range: [-3, 3],
    emit: node("com.microsoft:QuickGelu", { alpha: float(1.5) }),
    definition: (graph, [x], type) => {
      const scaled = graph.node("Mul", [x!, scalar(graph, 1.5, type)], { name: "scaled" });
      // As a Sigmoid, ONNX Runtime would see the operator in it, which it has in float32 alone.
      const power = graph.node("Exp", [graph.node("Neg", [scaled], { name: "neg" })], { name: "exp" });
      const below = graph.node("Add", [power, scalar(graph, 1, type)], { name: "below" });
      return graph.node("Div", [x!, below], { name: "div" });
    },
  },
  {
    name: "Erf",
    inputs: [[2, 3]],
    emit: node("Erf"),
    definition: (graph, [x], type) => emitErf(graph, x!, type),
  },
  { name: "com.microsoft Gelu", inputs: [[2, 3]], emit: node("com.microsoft:Gelu"), definition: emitErfGelu },
  {
    name: "com.microsoft BiasGelu",
    inputs: [[2, 3], [3]],
    emit: node("com.microsoft:BiasGelu"),
    definition: emitErfGelu,
  },
  { name: "Gelu", inputs: [[2, 3]], opset: 20, emit: node("Gelu"), definition: emitErfGelu },
  {
    name: "Gelu, approximated",
    inputs: [[2, 3]],
    opset: 20,
    emit: node("Gelu", { approximate: "tanh" }),
    definition: emitTanhGelu,
  },
];

describe("gradients are those of central differences", () => {
  const cases = [
    ...elementwise,
    ...arithmetic,
    ...products,
    ...reductions,
    ...layouts,
    ...norms,
    ...activations,
    ...older,
  ];
  it.each(cases)("$name", async (operatorCase) => {
    // Truncation and rounding of the differences are below 1e-9; float32 rounds by 6e-8, a few times.
    const tolerance = operatorCase.definition === undefined ? 1e-6 : 1e-5;
    for (const error of await gradientErrors(operatorCase)) expect(error).toBeLessThan(tolerance);
  });
});
