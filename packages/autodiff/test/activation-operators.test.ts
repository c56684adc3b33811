import { float } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { emitErf, scalar } from "./support/definitions.js";
import {
  type EmitCase,
  gradientErrors,
  nodeCase as node,
  type OperatorCase,
  toleranceOf,
} from "./support/operator-case.js";

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
  it.each([...activations])("$name", async (operatorCase) => {
    expect(Math.max(...(await gradientErrors(operatorCase)))).toBeLessThan(toleranceOf(operatorCase));
  });
});
