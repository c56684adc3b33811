import type { GraphNode } from "@kvfold/onnx";
import type { Constant } from "./constants.js";
import { bothOrders, type ExportedGraph, isSame, nodeOf, unrecognised } from "./exported-graph.js";

/** What a graph says of its rotation: a table of cosines with a row for each position, or the frequencies. */
export interface RotationSource {
  readonly kind: "cosines" | "frequencies";
  readonly numbers: Constant;
  /** What cosines are multiplied by after they were worked out from frequencies. */
  readonly factor: number;
  readonly pairs: "half-split" | "interleaved";
}

/** A rotated value. */
export interface Rotated {
  readonly input: string;
  readonly source: RotationSource;
}

/** Recognises a rotation of heads: ONNX Runtime's operator, or `x * cos + rotate_half(x) * sin`. */
export function matchRotation(graph: ExportedGraph, value: string): Rotated | undefined {
  const node = nodeOf(graph, value, "RotaryEmbedding");
  if (node === undefined) return matchRotatedParts(graph, value);
  const [input, , cosines] = node.inputs;
  return { input: input!, source: cosineTable(graph, cosines!, node.attributes.interleaved === 1) };
}

/** The source of a rotation by a table `[P, pairs]`. */
export function cosineTable(graph: ExportedGraph, name: string, isInterleaved: boolean): RotationSource {
  const numbers = graph.constant(name);
  if (numbers === undefined) throw unrecognised(graph, name, "a constant table of cosines for the rotation");
  return { kind: "cosines", numbers, factor: 1, pairs: isInterleaved ? "interleaved" : "half-split" };
}

function matchRotatedParts(graph: ExportedGraph, value: string): Rotated | undefined {
  for (const [straight, crossed] of bothOrders(nodeOf(graph, value, "Add"))) {
    const [first, second] = [nodeOf(graph, straight, "Mul"), nodeOf(graph, crossed, "Mul")];
    if (first === undefined || second === undefined) continue;
    for (const [half] of bothOrders(second)) {
      const input = rotatedHalves(graph, half);
      const cosines = input && bothOrders(first).find(([left]) => isSame(graph, left, input))?.[1];
      if (cosines) return { input: input!, source: angles(graph, cosines) };
    }
  }
  return undefined;
}

/** What `concat(-x[half:], x[:half])` is made of. */
function rotatedHalves(graph: ExportedGraph, value: string): string | undefined {
  const halves = nodeOf(graph, value, "Concat")?.inputs;
  if (halves?.length !== 2) return undefined;
  const negated = nodeOf(graph, halves[0]!, "Neg")?.inputs[0];
  const [upper, lower] = [negated, halves[1]].map((half) => half && partOf(graph, half));
  return upper && lower && isSame(graph, upper, lower) ? upper : undefined;
}

/** What Slice or Split take a part of. */
function partOf(graph: ExportedGraph, value: string): string | undefined {
  const { node } = graph.term(value);
  return node?.operator === "Slice" || node?.operator === "Split" ? node.inputs[0] : undefined;
}

/** Operators between cosines and where they multiply, or between angles and frequencies, that change no number. */
const LAYOUT = ["Unsqueeze", "Squeeze", "Reshape", "Transpose", "Concat", "Expand", "Slice"] as const;

/** Follows first inputs through operators of layout. */
function beneathLayout(graph: ExportedGraph, value: string): string {
  const node = nodeOf(graph, value, ...LAYOUT);
  return node === undefined ? value : beneathLayout(graph, node.inputs[0]!);
}

/** Where cosines come from: `cos(position * frequency) * factor`, or rows of a table. */
function angles(graph: ExportedGraph, value: string): RotationSource {
  const { value: bare, factor } = withoutFactor(graph, beneathLayout(graph, value));
  const rows = nodeOf(graph, bare, "Gather");
  const table = rows && graph.constant(rows.inputs[0]!);
  if (table !== undefined) return { kind: "cosines", numbers: table, factor, pairs: "half-split" };
  const cosine = nodeOf(graph, bare, "Cos");
  const product = cosine && nodeOf(graph, beneathLayout(graph, cosine.inputs[0]!), "MatMul", "Mul");
  const numbers = product && frequenciesOf(graph, product);
  if (numbers === undefined)
    throw unrecognised(graph, bare, "cosines of position times constant frequencies for the rotation");
  return { kind: "frequencies", numbers, factor, pairs: "half-split" };
}

function withoutFactor(
  graph: ExportedGraph,
  value: string,
): { readonly value: string; readonly factor: number } {
  for (const [left, right] of bothOrders(nodeOf(graph, value, "Mul"))) {
    const small = graph.constant(right)?.small;
    if (small?.length === 1) return { value: beneathLayout(graph, left), factor: small[0]! };
  }
  return { value, factor: 1 };
}

const frequenciesOf = (graph: ExportedGraph, { inputs }: GraphNode): Constant | undefined =>
  inputs.map((input) => graph.constant(beneathLayout(graph, input))).find((constant) => constant);
