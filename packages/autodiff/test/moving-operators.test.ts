import { dataTypeCode } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import {
  type EmitCase,
  gradientErrors,
  nodeCase as node,
  type OperatorCase,
  toleranceOf,
} from "./support/operator-case.js";

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
    name: "Concat of more inputs than a shader has buffers",
    inputs: Array.from({ length: 60 }, (_, index) => [2, 1 + (index % 3)]),
    emit: node("Concat", { axis: 1 }),
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

const casts: readonly OperatorCase[] = [{ name: "CastLike", inputs: [[2, 3], [2]], emit: node("CastLike") }];

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

describe("gradients are those of central differences", () => {
  it.each([...layouts, ...casts, ...older])("$name", async (operatorCase) => {
    expect(Math.max(...(await gradientErrors(operatorCase)))).toBeLessThan(toleranceOf(operatorCase));
  });
});
