import { createGraphBuilder, type GraphBuilder, memoryWeights } from "@kvfold/onnx";
import type { ModelSource } from "@kvfold/runtime";
import type { ModelConfig } from "../families/read-config.js";
import type { BlockWeights } from "../model/decoder-weights.js";
import type { AttentionContext, QueryBlock } from "./attention-values.js";
import { createEmitter, type Emitter, OPSETS } from "./emitter.js";
import { emitStaticPositions } from "./static-positions.js";

/** Names of the hidden states that graphs over windows begin and end with, `[1, S, D]`, or `[B, S, D]` of B windows at once. */
export const HIDDEN_IN = "hidden_in";
export const HIDDEN_OUT = "hidden_out";

/** A model whose bytes are in memory. */
export type MemoryModel = Extract<ModelSource, { readonly bytes: Uint8Array }>;

/** A block and the windows it runs over. */
export interface BlockWindow {
  readonly config: ModelConfig;
  readonly weights: BlockWeights;
  /** Tokens of a window. */
  readonly length: number;
  /** Windows that run at once: 1 unless given. */
  readonly batch?: number | undefined;
  /** Queries that attend at once: 256 unless given. */
  readonly queries?: number | undefined;
}

/** What a graph over windows is written with. */
export interface WindowGraph {
  readonly e: Emitter;
  /** Declares an input `[B, S, width]`; the width is that of hidden states unless said otherwise. */
  readonly input: (name: string, width?: number) => string;
  /** Makes `value [B, S, width]` an output. */
  readonly output: (name: string, value: string, width?: number) => void;
}

/** A graph in memory over `batch` windows of `length` tokens at once, all float32. */
export function windowGraph(
  { shape }: ModelConfig,
  length: number,
  emit: (graph: WindowGraph) => void,
  batch = 1,
): MemoryModel {
  const weights = memoryWeights();
  const graph: GraphBuilder = createGraphBuilder({ graphName: "calibration", opsets: OPSETS, weights });
  emit({
    e: createEmitter(graph, { floatType: "float32" }),
    input: (name, width = shape.hiddenSize) => graph.input(name, "float32", [batch, length, width]),
    output(name, value, width = shape.hiddenSize) {
      graph.nodeWithOutputs("Identity", [value], [name], { name: `/${name}/Identity` });
      graph.output(name, "float32", [batch, length, width]);
    },
  });
  return { bytes: graph.toBytes(), externalData: weights.externalData };
}

/**
 * What attention over a whole window needs besides weights. It is by products and softmax, a run of queries at a time, whatever
 * the layer's shapes and whatever runs the graph. The fused operator gains nothing without a cache: on one thread of a processor
 * it took 3 % less to 21 % more at 256 to 4096 tokens, forward and backward. And ONNX Runtime 1.30 computes it wrongly on GPUs with
 * subgroups of fewer than 8 threads, such as SwiftShader's.
 */
export function windowContext(
  e: Emitter,
  { length, batch, queries = BLOCK_QUERIES }: Pick<BlockWindow, "length" | "batch" | "queries">,
): AttentionContext {
  const lastQueries = Math.min(queries, length);
  const positions = emitStaticPositions(e, { length, batch, lastQueries });
  return { kind: "plain", positions, cache: undefined, queryBlocks: queryBlocks(length, queries) };
}

/**
 * Queries that attend at once on a processor: their scores stay in its cache, and what no query sees is not computed.
 */
const BLOCK_QUERIES = 256;

function queryBlocks(length: number, queries: number): readonly QueryBlock[] | undefined {
  if (length <= queries) return undefined;
  return Array.from({ length: Math.ceil(length / queries) }, (_, index) => ({
    start: index * queries,
    end: Math.min(length, (index + 1) * queries),
  }));
}
