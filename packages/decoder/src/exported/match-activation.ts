import type { GraphNode } from "@kvfold/onnx";
import type { Activation } from "../model/block-spec.js";
import { bothOrders, type ExportedGraph, isSame, nodeOf } from "./exported-graph.js";
import { floatOf, isNumber, isSquare } from "./match-norm.js";

/** An activation function and what it is applied to. */
export interface Activated {
  readonly activation: Activation;
  readonly input: string;
}

/** Recognises the activations of feed-forward layers: single operators, SiLU and GELU out of their parts too. */
export function matchActivation(graph: ExportedGraph, value: string): Activated | undefined {
  const { node } = graph.term(value);
  if (node === undefined) return undefined;
  return singleOperator(node) ?? matchSilu(graph, node) ?? matchRelu2(graph, node) ?? matchGelu(graph, node);
}

function singleOperator({ operator, inputs, attributes }: GraphNode): Activated | undefined {
  const input = inputs[0]!;
  if (operator === "Relu") return { activation: "relu", input };
  if (operator === "FastGelu" && inputs.length === 1) return { activation: "gelu_pytorch_tanh", input };
  if (operator === "Gelu")
    return { activation: attributes.approximate === "tanh" ? "gelu_pytorch_tanh" : "gelu", input };
  const isSilu = operator === "QuickGelu" && floatOf(attributes.alpha, 1.702) === 1;
  return isSilu || operator === "Swish" ? { activation: "silu", input } : undefined;
}

/** `x * sigmoid(x)`. */
function matchSilu(graph: ExportedGraph, node: GraphNode): Activated | undefined {
  if (node.operator !== "Mul") return undefined;
  for (const [input, right] of bothOrders(node)) {
    const sigmoid = nodeOf(graph, right, "Sigmoid");
    if (sigmoid !== undefined && isSame(graph, sigmoid.inputs[0]!, input))
      return { activation: "silu", input };
  }
  return undefined;
}

/** `relu(x)^2`. */
function matchRelu2(graph: ExportedGraph, { inputs, outputs }: GraphNode): Activated | undefined {
  const relu = nodeOf(graph, inputs[0]!, "Relu");
  if (relu === undefined || !isSquare(graph, outputs[0]!, inputs[0]!)) return undefined;
  return { activation: "relu2", input: relu.inputs[0]! };
}

/** `x / 2 * (1 + erf(x / sqrt(2)))` and `x / 2 * (1 + tanh(…))`, constants anywhere in the product. */
function matchGelu(graph: ExportedGraph, { operator, outputs }: GraphNode): Activated | undefined {
  if (operator !== "Mul") return undefined;
  const factors = factorsOf(graph, outputs[0]!).filter((factor) => !isNumber(graph, factor, 0.5));
  if (factors.length !== 2) return undefined;
  for (const [input, other] of [factors, factors.toReversed()] as [string, string][]) {
    const orders = bothOrders(nodeOf(graph, other, "Add"));
    const bent = orders.find(([left]) => isNumber(graph, left, 1))?.[1];
    const function_ = bent === undefined ? undefined : nodeOf(graph, bent, "Erf", "Tanh");
    if (function_ === undefined) continue;
    return { activation: function_.operator === "Erf" ? "gelu" : "gelu_pytorch_tanh", input };
  }
  return undefined;
}

/** The factors of a product, of products in it too. */
function factorsOf(graph: ExportedGraph, value: string): readonly string[] {
  const node = nodeOf(graph, value, "Mul");
  return node === undefined ? [value] : node.inputs.flatMap((input) => factorsOf(graph, input));
}
