import type { AttributeValue, GraphNode } from "@kvfold/onnx";
import type { NormKind } from "../model/block-spec.js";
import type { Constant } from "./constants.js";
import { bothOrders, type ExportedGraph, isSame, nodeOf, skipSum, unrecognised } from "./exported-graph.js";

/** A norm over the last axis. */
export interface Norm {
  readonly input: string;
  readonly kind: NormKind;
  readonly epsilon: number;
  readonly weight: Constant;
  readonly bias: Constant | undefined;
}

const KINDS: Readonly<Record<string, NormKind>> = {
  SimplifiedLayerNormalization: "rms",
  SkipSimplifiedLayerNormalization: "rms",
  RMSNormalization: "rms",
  LayerNormalization: "layer",
  SkipLayerNormalization: "layer",
};

/** Recognises a norm: one operator, one that adds first, or an RMSNorm out of its parts. */
export function matchNorm(graph: ExportedGraph, value: string): Norm | undefined {
  const node = nodeOf(graph, value, ...Object.keys(KINDS));
  if (node === undefined) return matchRmsParts(graph, value);
  return node.operator.startsWith("Skip") ? skipNorm(graph, node) : plainNorm(graph, node);
}

function plainNorm(graph: ExportedGraph, node: GraphNode): Norm | undefined {
  const [input, weightName, biasName = ""] = node.inputs;
  const weight = graph.constant(weightName!);
  if (weight === undefined) return undefined;
  const epsilon = floatOf(node.attributes.epsilon, 1e-5);
  return { input: input!, kind: KINDS[node.operator]!, epsilon, weight, bias: graph.constant(biasName) };
}

/** `norm(x + skip)`. A bias in the sum is refused: only ONNX Runtime's own optimiser adds one. */
function skipNorm(graph: ExportedGraph, node: GraphNode): Norm | undefined {
  const kind = KINDS[node.operator]!;
  const [, , weightName, third = "", fourth = ""] = node.inputs;
  const [biasName, added] = kind === "layer" ? [third, fourth] : ["", third];
  if (added !== "") throw unrecognised(graph, added, `no bias inside ${node.operator} (node ${node.name})`);
  const weight = graph.constant(weightName!);
  if (weight === undefined) return undefined;
  const epsilon = floatOf(node.attributes.epsilon, 1e-12);
  return { input: skipSum(node), kind, epsilon, weight, bias: graph.constant(biasName) };
}

export const floatOf = (value: AttributeValue | undefined, absent: number): number =>
  typeof value === "object" && "float" in value ? value.float : absent;

/** `w * x / sqrt(mean(x^2) + epsilon)`. */
function matchRmsParts(graph: ExportedGraph, value: string): Norm | undefined {
  for (const [left, right] of bothOrders(nodeOf(graph, value, "Mul"))) {
    const weight = graph.constant(left);
    const normed = weight && matchNormed(graph, right);
    if (normed) return { ...normed, kind: "rms", weight: weight!, bias: undefined };
  }
  return undefined;
}

function matchNormed(graph: ExportedGraph, value: string): Pick<Norm, "input" | "epsilon"> | undefined {
  const node = nodeOf(graph, value, "Mul", "Div");
  if (node === undefined) return undefined;
  for (const [input, other] of bothOrders(node)) {
    const root = node.operator === "Div" ? other : inverseOf(graph, other);
    const epsilon = root === undefined ? undefined : matchRootMean(graph, root, input);
    if (epsilon !== undefined) return { input, epsilon };
  }
  return undefined;
}

/** What a value is one over. */
function inverseOf(graph: ExportedGraph, value: string): string | undefined {
  const reciprocal = nodeOf(graph, value, "Reciprocal");
  if (reciprocal !== undefined) return reciprocal.inputs[0];
  const division = nodeOf(graph, value, "Div");
  return division && isNumber(graph, division.inputs[0]!, 1) ? division.inputs[1] : undefined;
}

/** The epsilon of `sqrt(mean(input^2) + epsilon)`. */
function matchRootMean(graph: ExportedGraph, value: string, input: string): number | undefined {
  const sum = nodeOf(graph, nodeOf(graph, value, "Sqrt")?.inputs[0] ?? "", "Add");
  for (const [left, right] of bothOrders(sum)) {
    const epsilon = graph.constant(right)?.small?.[0];
    const square = nodeOf(graph, left, "ReduceMean")?.inputs[0] ?? "";
    if (epsilon !== undefined && isSquare(graph, square, input)) return epsilon;
  }
  return undefined;
}

/** Whether a value is `base^2` or `base * base`. */
export function isSquare(graph: ExportedGraph, value: string, base: string): boolean {
  const node = nodeOf(graph, value, "Pow", "Mul");
  const [first, second] = node?.inputs ?? [];
  if (node === undefined || !isSame(graph, first!, base)) return false;
  return node.operator === "Pow" ? isNumber(graph, second!, 2) : isSame(graph, second!, base);
}

/** Whether a value is one constant number, within what float16 keeps of it. */
export function isNumber(graph: ExportedGraph, value: string, expected: number): boolean {
  const found = graph.constant(value)?.small;
  return found?.length === 1 && isNear(found[0]!, expected);
}

export const isNear = (found: number, expected: number): boolean =>
  Math.abs(found - expected) <= 1e-3 * Math.abs(expected);
