import type { GraphNode } from "@kvfold/onnx";
import { takeColumns } from "../checkpoint/fused-columns.js";
import type { Linear } from "../model/decoder-weights.js";
import type { ExportedGraph } from "./exported-graph.js";
import { matchProduct, type Product, readProduct } from "./match-product.js";

/** Outputs `[start, end)` of a linear map that several projections may share. */
export interface ProductPart {
  readonly product: Product;
  readonly start: number;
  readonly end: number;
}

/** Recognises a linear map, or a part that Split or Slice take out of one. */
export function matchPart(graph: ExportedGraph, value: string): ProductPart | undefined {
  const product = matchProduct(graph, value);
  if (product !== undefined) return { product, start: 0, end: product.outputs };
  const { node, output } = graph.term(value);
  if (node?.operator === "Split") return splitPart(graph, node, output);
  return node?.operator === "Slice" ? slicePart(graph, node) : undefined;
}

function splitPart(graph: ExportedGraph, node: GraphNode, output: number): ProductPart | undefined {
  const product = matchProduct(graph, node.inputs[0]!);
  const { axis = 0 } = node.attributes;
  if (product === undefined || !isLastAxis(axis)) return undefined;
  const even = node.outputs.map(() => product.outputs / node.outputs.length);
  const sizes = graph.constant(node.inputs[1] ?? "")?.small ?? listed(node.attributes.split) ?? even;
  const start = sizes.slice(0, output).reduce((sum, size) => sum + size, 0);
  return { product, start, end: start + sizes[output]! };
}

const listed = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) ? (value as readonly number[]) : undefined;

/** Of rows `[B, S, n]`. */
const isLastAxis = (axis: unknown): boolean => axis === -1 || axis === 2;

function slicePart(graph: ExportedGraph, { inputs }: GraphNode): ProductPart | undefined {
  const product = matchProduct(graph, inputs[0]!);
  const [starts, ends, axes, steps = [1]] = inputs.slice(1).map((name) => graph.constant(name)?.small);
  const isPart = starts?.length === 1 && ends?.length === 1 && isLastAxis(axes?.[0]) && steps[0] === 1;
  if (product === undefined || !isPart) return undefined;
  return { product, start: starts[0]!, end: Math.min(ends![0]!, product.outputs) };
}

/** Reads parts of linear maps, each map once. */
export function partReader(): (part: ProductPart) => Promise<Linear> {
  const read = new Map<string, Promise<Linear>>();
  return async ({ product, start, end }) => {
    if (start === 0 && end === product.outputs) return readProduct(product);
    const whole = read.get(product.origin) ?? readProduct(product);
    read.set(product.origin, whole);
    return takeColumns(await whole, [{ start, end }]);
  };
}
