import type { GraphNode } from "@kvfold/onnx";
import type { Linear } from "../model/decoder-weights.js";
import { transposeFloats } from "../model/transpose.js";
import { type Constant, sizeOf } from "./constants.js";
import { bothOrders, type ExportedGraph, nodeOf } from "./exported-graph.js";
import { matchPackedRows } from "./packed-rows.js";

/** A linear map of a graph: a constant matrix, in floats or in few bits, and maybe a bias. */
export interface Product {
  /** The value that it maps. */
  readonly input: string;
  readonly inputs: number;
  readonly outputs: number;
  /** The tensor that holds the matrix. */
  readonly origin: string;
  /** Whether the matrix was rounded to few bits. */
  readonly isQuantised: boolean;
  /** `[inputs, outputs]`. */
  readonly weight: () => Promise<Float32Array>;
  /** `[outputs]`. */
  readonly bias: Constant | undefined;
}

/** Recognises `x W`, `x W + b` and their forms in four and eight bits. */
export function matchProduct(graph: ExportedGraph, value: string): Product | undefined {
  const sum = nodeOf(graph, value, "Add");
  if (sum === undefined) return matchMatrix(graph, value);
  for (const [left, right] of bothOrders(sum)) {
    const bias = graph.constant(left);
    const product = bias && matchMatrix(graph, right);
    if (product !== undefined && product.bias === undefined && product.outputs === sizeOf(bias!))
      return { ...product, bias };
  }
  return undefined;
}

function matchMatrix(graph: ExportedGraph, value: string): Product | undefined {
  const node = nodeOf(graph, value, "MatMul", "MatMulNBits");
  if (node === undefined) return undefined;
  return node.operator === "MatMul" ? floatProduct(graph, node) : quantisedProduct(graph, node);
}

function floatProduct(graph: ExportedGraph, { inputs: [input, name] }: GraphNode): Product | undefined {
  const matrix = graph.constant(name!);
  if (matrix?.dims.length !== 2) return undefined;
  const [inputs, outputs] = matrix.dims;
  const { origin } = matrix;
  return {
    input: input!,
    inputs: inputs!,
    outputs: outputs!,
    origin,
    isQuantised: false,
    weight: () => matrix.read(),
    bias: undefined,
  };
}

function quantisedProduct(
  graph: ExportedGraph,
  { inputs: names, attributes }: GraphNode,
): Product | undefined {
  const [input, codes, scales, zeros, order = "", bias = ""] = names;
  const { K: columns, N: rows, bits = 4, block_size: blockSize } = attributes as Record<string, number>;
  if (order !== "" || columns === undefined || rows === undefined || blockSize === undefined)
    return undefined;
  const packed = matchPackedRows(graph, [codes!, scales!, zeros], { rows, columns, bits, blockSize });
  if (packed === undefined) return undefined;
  return {
    input: input!,
    inputs: columns,
    outputs: rows,
    origin: packed.origin,
    isQuantised: true,
    weight: async () => transposeFloats(await packed.read(), rows, columns),
    bias: graph.constant(bias),
  };
}

/** Reads a linear map. */
export async function readProduct({ inputs, outputs, weight, bias }: Product): Promise<Linear> {
  return { inputs, outputs, weight: await weight(), bias: await bias?.read() };
}
