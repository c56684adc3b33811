import type { GraphNode } from "@kvfold/onnx";
import type { AttentionSource } from "../model/block-spec.js";
import type { AttentionInputs } from "./attention-parts.js";
import { axesOf, bothOrders, type ExportedGraph, nodeOf, unrecognised } from "./exported-graph.js";
import { beneathCap } from "./match-cap.js";
import { isNear } from "./match-norm.js";

/** Reads attention out of its parts: `softmax(scale q k^T + mask) v`, heads joined afterwards. */
export function matchPlainAttention(
  graph: ExportedGraph,
  value: string,
  spec: AttentionSource,
  where: string,
): AttentionInputs | undefined {
  const attended = nodeOf(graph, beneathJoin(graph, value), "MatMul");
  const masked = attended && maskedScores(graph, attended.inputs[0]!);
  if (attended === undefined || masked === undefined) return undefined;
  for (const [scores] of bothOrders(masked)) {
    const uncapped = beneathCap(graph, scores, spec.softCap);
    const found = uncapped === undefined ? undefined : matchScores(graph, uncapped, spec.headDim);
    if (found === undefined) continue;
    requireScale(graph, scores, found.scale, spec, where);
    return { query: found.query, key: found.key, value: attended.inputs[1]! };
  }
  return undefined;
}

/** Heads `[B, H, S, d]` before they are joined to `[B, S, H * d]`. */
function beneathJoin(graph: ExportedGraph, value: string): string {
  const moved = nodeOf(graph, nodeOf(graph, value, "Reshape")?.inputs[0] ?? value, "Transpose");
  return moved !== undefined && axesOf(moved) === "0,2,1,3" ? moved.inputs[0]! : value;
}

/** The sum of scores and mask under a softmax, which may be kept from NaN where nothing is seen. */
function maskedScores(graph: ExportedGraph, value: string): GraphNode | undefined {
  const guarded = nodeOf(graph, value, "Where");
  const isGuard = guarded && nodeOf(graph, guarded.inputs[0]!, "IsNaN") !== undefined;
  const softmax = nodeOf(graph, isGuard ? guarded.inputs[2]! : value, "Softmax");
  return softmax && nodeOf(graph, softmax.inputs[0]!, "Add");
}

interface Scores {
  readonly query: string;
  readonly key: string;
  readonly scale: number;
}

/** `scale q k^T`, the scale on the product or on its factors. */
function matchScores(graph: ExportedGraph, value: string, headDim: number): Scores | undefined {
  const outer = unscaled(graph, value, headDim);
  const product = nodeOf(graph, outer.value, "MatMul");
  if (product === undefined) return undefined;
  const query = unscaled(graph, product.inputs[0]!, headDim);
  const turned = unscaled(graph, product.inputs[1]!, headDim);
  const transpose = nodeOf(graph, turned.value, "Transpose");
  if (transpose === undefined || !SWAPS.includes(axesOf(transpose))) return undefined;
  const key = unscaled(graph, transpose.inputs[0]!, headDim);
  const scale = outer.factor * query.factor * turned.factor * key.factor;
  return { query: query.value, key: key.value, scale };
}

/** Keys `[B, H, T, d]` to `[B, H, d, T]`, or straight from `[B, T, H, d]`. */
const SWAPS = ["0,1,3,2", "0,2,3,1"];

interface Scaled {
  readonly value: string;
  readonly factor: number;
}

/** A value without the numbers that it is multiplied or divided by. */
function unscaled(graph: ExportedGraph, value: string, headDim: number): Scaled {
  const node = nodeOf(graph, value, "Mul", "Div");
  for (const [inner, by] of bothOrders(node)) {
    const number = numberOf(graph, by, headDim);
    if (number === undefined) continue;
    const rest = unscaled(graph, inner, headDim);
    return {
      value: rest.value,
      factor: node!.operator === "Mul" ? rest.factor * number : rest.factor / number,
    };
  }
  return { value, factor: 1 };
}

/** A number that is constant, or worked out from the size of a head, which exports leave to the graph. */
function numberOf(graph: ExportedGraph, value: string, headDim: number): number | undefined {
  const small = graph.constant(value)?.small;
  if (small !== undefined) return small.length === 1 ? small[0] : undefined;
  const { node } = graph.term(value);
  if (node === undefined) return undefined;
  if (isHeadSize(graph, node)) return headDim;
  const [a, b] = node.inputs.map((input) => numberOf(graph, input, headDim));
  if (a === undefined) return undefined;
  if (node.operator === "Sqrt") return Math.sqrt(a);
  if (node.operator === "Reciprocal") return 1 / a;
  if (b === undefined) return undefined;
  return { Div: a / b, Mul: a * b, Pow: a ** b }[node.operator];
}

/** Whether a node takes the last of a value's dimensions. */
function isHeadSize(graph: ExportedGraph, { operator, inputs }: GraphNode): boolean {
  if (operator === "Squeeze") {
    const { node } = graph.term(inputs[0]!);
    return node !== undefined && isHeadSize(graph, node);
  }
  if (operator !== "Slice" && operator !== "Gather") return false;
  const last = graph.constant(inputs[1]!)?.small?.[0];
  return nodeOf(graph, inputs[0]!, "Shape") !== undefined && (last === -1 || last === 3);
}

function requireScale(
  graph: ExportedGraph,
  value: string,
  found: number,
  { scale }: AttentionSource,
  where: string,
): void {
  if (!isNear(found, scale))
    throw unrecognised(graph, value, `scores of ${where} times ${scale}, not times ${found}`);
}
