import type { ModelSpec } from "../model/model-spec.js";
import { type GgufDtype, ggufDtypes } from "./gguf-dtype.js";
import { float32, type Metadata, text, uint32 } from "./metadata.js";
import { ropeMetadata } from "./rope-metadata.js";
import type { BlockLayout } from "./tensor-slots.js";

/** Version of ggml's quantised blocks. */
const QUANTISATION_VERSION = 2;

export declare namespace modelMetadata {
  interface Options {
    readonly layout: BlockLayout;
    readonly dtype: GgufDtype;
    readonly maxPositions: number;
  }
}

/** What a GGUF file says of a plain decoder beside its tokenizer. */
export function modelMetadata(
  { shape, blocks, head }: ModelSpec,
  { layout, dtype, maxPositions }: modelMetadata.Options,
): Metadata {
  const { name } = layout.architecture;
  const { attention, mlp } = blocks[0]!;
  const own: Metadata = {
    vocab_size: uint32(shape.vocabSize),
    context_length: uint32(maxPositions),
    embedding_length: uint32(shape.hiddenSize),
    block_count: uint32(shape.layers),
    feed_forward_length: uint32(mlp.width),
    "attention.head_count": uint32(attention.heads),
    "attention.head_count_kv": uint32(layout.kvHeads),
    "attention.key_length": uint32(attention.headDim),
    "attention.value_length": uint32(attention.headDim),
    "attention.layer_norm_rms_epsilon": float32(head.norm!.epsilon),
    ...ropeMetadata(attention.rope!),
  };
  return {
    "general.architecture": text(name),
    "general.type": text("model"),
    "general.file_type": uint32(ggufDtypes[dtype].fileType),
    "general.quantization_version": uint32(QUANTISATION_VERSION),
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${name}.${key}`, value])),
  };
}
