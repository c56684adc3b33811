import { float, tensorValue } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { scalar } from "./support/definitions.js";
import {
  type EmitCase,
  gradientErrors,
  nodeCase as node,
  type OperatorCase,
  toleranceOf,
} from "./support/operator-case.js";

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
      name: `${operator} of [${inputs[0].join()}] and [${inputs[1].join()}]`,
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

describe("gradients are those of central differences", () => {
  it.each([...elementwise, ...arithmetic])("$name", async (operatorCase) => {
    expect(Math.max(...(await gradientErrors(operatorCase)))).toBeLessThan(toleranceOf(operatorCase));
  });
});
