import type { GraphNode } from "@kvfold/onnx";
import type { ModelConfig } from "../families/read-config.js";
import {
  bothOrders,
  type ExportedGraph,
  isInput,
  nodeOf,
  unreadable,
  unrecognised,
} from "./exported-graph.js";
import { type MatchedBlock, requireBlock } from "./match-block.js";
import { beneathCap } from "./match-cap.js";
import { isNumber, matchNorm, type Norm } from "./match-norm.js";
import { matchProduct, type Product } from "./match-product.js";
import { matchPackedRows } from "./packed-rows.js";

/** A decoder in a graph. */
export interface MatchedDecoder {
  readonly embedding: Table;
  readonly blocks: readonly MatchedBlock[];
  readonly norm: Norm;
  readonly head: Product;
}

/** The embedding's table. */
export interface Table {
  /** The tensor that holds it. */
  readonly origin: string;
  readonly isQuantised: boolean;
  readonly rows: number;
  readonly width: number;
  /** `[rows, width]`. */
  read(): Promise<Float32Array>;
}

/** Reads a decoder back from its logits to its token ids; its config says what is to be there. */
export function requireDecoder(graph: ExportedGraph, config: ModelConfig): MatchedDecoder {
  const { head: source, embedding, blocks: specs } = config;
  const logits = logitsOf(graph, config);
  requirePlainEnds(graph, config, logits);
  const uncapped = beneathCap(graph, logits, source.softCap);
  if (uncapped === undefined)
    throw unrecognised(graph, logits, `logits with a soft cap of ${source.softCap}`);
  const head = matchProduct(graph, uncapped);
  if (head === undefined)
    throw unrecognised(graph, logits, "logits that are a product with a constant matrix");
  const norm = matchNorm(graph, head.input);
  if (norm === undefined) throw unrecognised(graph, head.input, "a norm before the logits");
  const blocks: MatchedBlock[] = [];
  let stream = norm.input;
  for (let layer = specs.length - 1; layer >= 0; layer--) {
    blocks[layer] = requireBlock(graph, stream, specs[layer]!, layer);
    stream = blocks[layer]!.stream;
  }
  return { embedding: requireTable(graph, stream, embedding.scale), blocks, norm, head };
}

/** The one output that has a number for each token of the vocabulary. */
function logitsOf({ view, file }: ExportedGraph, { shape: { vocabSize } }: ModelConfig): string {
  const wide = view.outputs.filter(({ dims }) => dims?.length === 3);
  const found = wide.length === 1 ? wide : wide.filter(({ dims }) => dims?.[2] === vocabSize);
  if (found.length === 1) return found[0]!.name;
  throw unreadable(
    file,
    `one output [batch, sequence, ${vocabSize}] for the logits`,
    `the outputs ${view.outputs.map(({ name }) => name).join(", ")}`,
  );
}

/** What no exported graph is read with. */
function requirePlainEnds(graph: ExportedGraph, { embedding, head }: ModelConfig, logits: string): void {
  const isPlain =
    embedding.norm === undefined &&
    embedding.positions === undefined &&
    embedding.projection === undefined &&
    head.projection === undefined &&
    head.norm !== undefined;
  if (!isPlain)
    throw unrecognised(graph, logits, "an embedding by tokens alone, and a norm before the logits");
}

function requireTable(graph: ExportedGraph, value: string, scale: number | undefined): Table {
  const looked = scale === undefined ? value : unscaled(graph, value, scale);
  if (looked === undefined) throw unrecognised(graph, value, `rows of the embedding times ${scale}`);
  const node = nodeOf(graph, looked, "Gather", "GatherBlockQuantized");
  const isLookup = node !== undefined && isInput(graph, node.inputs[1]!);
  const table = isLookup && (node.operator === "Gather" ? floatTable(graph, node) : packedTable(graph, node));
  if (table) return table;
  throw unrecognised(graph, value, "rows of a constant table, looked up by the token ids");
}

function unscaled(graph: ExportedGraph, value: string, scale: number): string | undefined {
  const orders = bothOrders(nodeOf(graph, value, "Mul"));
  return orders.find(([, by]) => isNumber(graph, by, scale))?.[0];
}

function floatTable(graph: ExportedGraph, { inputs }: GraphNode): Table | undefined {
  const constant = graph.constant(inputs[0]!);
  if (constant?.dims.length !== 2) return undefined;
  const { origin, dims } = constant;
  return { origin, isQuantised: false, rows: dims[0]!, width: dims[1]!, read: () => constant.read() };
}

/** `com.microsoft.GatherBlockQuantized` over bytes; its zero points are those of MatMulNBits. */
function packedTable(graph: ExportedGraph, { inputs, attributes }: GraphNode): Table | undefined {
  const { bits = 4, block_size: blockSize = 128 } = attributes as Readonly<Record<string, number>>;
  const [codes, , scales, zeros] = inputs;
  const [rows, rowBytes] = graph.constant(codes!)?.dims ?? [];
  if (rows === undefined || rowBytes === undefined) return undefined;
  const width = (rowBytes * 8) / bits;
  const packed = matchPackedRows(graph, [codes!, scales!, zeros], { rows, columns: width, bits, blockSize });
  return packed && { ...packed, isQuantised: true, rows, width };
}
