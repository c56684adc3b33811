export {
  type Checkpoint,
  type FolderSource,
  openCheckpoint,
  type TensorPiece,
} from "./checkpoint/checkpoint.js";
export type { DecoderParts } from "./checkpoint/decoder-parts.js";
export { checkpointParts, loadBlock, loadEmbedding, loadHead } from "./checkpoint/load-weights.js";
export type { StoredTensor } from "./checkpoint/stored-tensor.js";
export { DecoderError, type DecoderErrorCode } from "./decoder-error.js";
export { exportedGraphs, openWeights } from "./exported/open-weights.js";
export type { Family } from "./families/family.js";
export { families } from "./families/index.js";
export { type ModelConfig, readConfig } from "./families/read-config.js";
export { type GgufDtype, type GgufDtypeTraits, ggufDtypes } from "./gguf/gguf-dtype.js";
export type { Metadata, MetadataValue } from "./gguf/metadata.js";
export { readGgufTokenizer } from "./gguf/tokenizer/read-gguf-tokenizer.js";
export type { CacheForm } from "./graph/cache-form.js";
export { createDecoderGraph, type DecoderGraph } from "./graph/decoder-graph.js";
export { deltaForm } from "./graph/delta-form.js";
export { type Dtype, type DtypeTraits, dtypes, floatDtype, quantisedFileName } from "./graph/dtype.js";
export { standardForm } from "./graph/standard-form.js";
export { unfoldedAttentionKind } from "./graph/stored-cache.js";
export type { Arrangement } from "./model/block-spec.js";
export type {
  AttentionWeights,
  BlockWeights,
  CacheShape,
  EmbeddingWeights,
  HeadWeights,
  JointLatent,
  KeyBasis,
  KeyExpansion,
  LatentStatistics,
  Linear,
  NormWeights,
} from "./model/decoder-weights.js";
export type { FourBitRows } from "./model/four-bit-rows.js";
export type { ModelShape } from "./model/model-shape.js";
export { rotaryFrequencies } from "./model/rotary-frequencies.js";
export { checkpointOutput } from "./output/checkpoint-output.js";
export { type GgufOutput, ggufObstacle, ggufOutput, ggufTakesBiases } from "./output/gguf-output.js";
export type { ModelOutput } from "./output/model-output.js";
export { type ModelTarget, writeBytes } from "./output/model-target.js";
export { type OnnxOutput, type OpenSink, onnxOutput } from "./output/onnx-output.js";
export { streamModel, streamParts } from "./output/stream-model.js";
export { BLOCK_SIZE, packRows, quantiseRows } from "./quantisation/four-bit-blocks.js";
export { nearestCode, ZERO_CODE } from "./quantisation/four-bit-code.js";
export { makeOwnGraphs } from "./stored/make-own-graphs.js";
export { openStoredDecoder, type StoredDecoder } from "./stored/open-stored-decoder.js";
export type { StoredLayer } from "./stored/read-block.js";
