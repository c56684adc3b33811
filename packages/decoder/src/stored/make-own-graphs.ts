import type { StoredTensor, TensorValue, WeightStore } from "@kvfold/onnx";
import type { CachePrecision } from "@kvfold/runtime";
import type { FolderSource } from "../checkpoint/checkpoint.js";
import type { ModelConfig } from "../families/read-config.js";
import { createDecoderGraph } from "../graph/decoder-graph.js";
import { type Dtype, dtypes } from "../graph/dtype.js";
import { ownGraphs } from "../graph/own-graphs.js";
import { readStoredBlock, type StoredLayer } from "./read-block.js";
import { readStoredEmbedding, readStoredHead } from "./read-ends.js";
import { openTensors, type StoredTensors } from "./stored-tensors.js";

export declare namespace makeOwnGraphs {
  interface Options {
    /** The folder that holds `onnx/`. */
    readonly folder: FolderSource;
    /** Of the checkpoint that was folded. */
    readonly config: ModelConfig;
    /** Whose standard graph to read. */
    readonly dtype: Dtype;
    /** `[L]`. */
    readonly layers: readonly StoredLayer[];
    /** Longest context of the graphs, in tokens. */
    readonly maxPositions: number;
    /** Quantised caches that are to have a graph, besides the graphs that every output has. */
    readonly precisions: readonly CachePrecision[];
    /** Whether a graph is to be made. */
    readonly isMissing: (fileName: string) => boolean;
  }
}

/**
 * Makes graphs for runtimes that own the cache, over the weights of a standard graph that {@link onnxOutput} wrote: they read the
 * external data that is there, and hold nothing but what it lacks. Memory is one block, and the table of the embedding.
 *
 * @returns The files of the graphs, by name.
 * @throws {DecoderError} `malformed-checkpoint` when the standard graph or its external data are missing or hold something else.
 */
export async function makeOwnGraphs(
  options: makeOwnGraphs.Options,
): Promise<readonly (readonly [fileName: string, bytes: Uint8Array])[]> {
  const { folder, config, dtype, layers, precisions, isMissing } = options;
  const missing = ownGraphs(dtype, precisions).filter(([name]) => isMissing(name));
  if (missing.length === 0) return [];
  const tensors = await openTensors(folder, dtypes[dtype].fileName);
  try {
    const embedding = await readStoredEmbedding(tensors, config);
    const shared = { ...options, embedding, weights: weightsOf(tensors) };
    const graphs = missing.map(([name, form]) => [name, createDecoderGraph({ ...shared, form })] as const);
    for (const [layer, shape] of layers.entries()) {
      const block = await readStoredBlock(tensors, layer, config.blocks[layer]!, shape);
      for (const [, graph] of graphs) graph.addBlock(block);
    }
    const head = await readStoredHead(tensors, config);
    return graphs.map(([name, graph]) => [name, graph.finish(head)] as const);
  } finally {
    await tensors.close();
  }
}

/** Weights that a graph has are taken from it, to the bit; those outside stay where they are. All else goes into the new graphs. */
function weightsOf({ view }: StoredTensors): WeightStore {
  const find = (name: string): StoredTensor | TensorValue | undefined => {
    const { type, dims, location, value } = view.initializers.get(name) ?? {};
    if (location === undefined) return value;
    return type === undefined || dims === undefined ? undefined : { type, dims, location };
  };
  return { store: () => undefined, find };
}
