import type { FolderSource } from "../checkpoint/checkpoint.js";
import type { ModelConfig } from "../families/read-config.js";
import { type Dtype, dtypes } from "../graph/dtype.js";
import type { BlockWeights } from "../model/decoder-weights.js";
import { readStoredBlock, type StoredLayer } from "./read-block.js";
import { openTensors, type StoredFloats } from "./stored-tensors.js";

/** A decoder that kvfold wrote as an ONNX graph, opened to read its weights. */
export interface StoredDecoder {
  /** Reads one block, folded as it is. */
  block(layer: number): Promise<BlockWeights>;
  /** The embedding's table, `[V, width]`. */
  table(): Promise<StoredFloats>;
  close(): Promise<void>;
}

export declare namespace openStoredDecoder {
  interface Options {
    /** The folder that holds `onnx/`. */
    readonly folder: FolderSource;
    /** Of the checkpoint that was folded. */
    readonly config: ModelConfig;
    /** Which of the folder's graphs to read. */
    readonly dtype: Dtype;
    /** `[L]`. */
    readonly layers: readonly StoredLayer[];
  }
}

/**
 * Opens the weights of a decoder that {@link onnxOutput} wrote, to be read a block at a time.
 *
 * Numerics: float32 comes back to the bit; float16 and four bits as they were rounded.
 *
 * @throws {DecoderError} `malformed-checkpoint` when the graph or its external data are missing or hold something else.
 */
export async function openStoredDecoder(options: openStoredDecoder.Options): Promise<StoredDecoder> {
  const { folder, config, dtype, layers } = options;
  const tensors = await openTensors(folder, dtypes[dtype].fileName);
  return {
    block: (layer) => readStoredBlock(tensors, layer, config.blocks[layer]!, layers[layer]!),
    table: () => tensors.read("model.embed_tokens.weight"),
    close: () => tensors.close(),
  };
}
