export type { AttentionContext, Projected, ProjectionValues, QueryBlock } from "./graph/attention-values.js";
export { type BlockMap, type BlockPart, blockMaps, changeMaps } from "./graph/block-maps.js";
export { emitAttended } from "./graph/emit-attention.js";
export { emitBasis, emitPerHead } from "./graph/emit-basis.js";
export {
  type BlockStreams,
  emitAttentionHalf,
  emitAttentionInput,
  emitMlpHalf,
  emitMlpInput,
  emitSum,
} from "./graph/emit-block.js";
export { emitHead } from "./graph/emit-embedding.js";
export { emitLinear } from "./graph/emit-linear.js";
export { emitMlpActivations } from "./graph/emit-mlp.js";
export { emitHeadNorm } from "./graph/emit-norm.js";
export { emitPlainAttention } from "./graph/emit-plain-attention.js";
export { emitProjections } from "./graph/emit-projections.js";
export { emitBlockParts, type ScoreParts } from "./graph/emit-scored.js";
export { emitSlice } from "./graph/emit-slice.js";
export { emitSoftCap } from "./graph/emit-soft-cap.js";
export { type Emitter, type FloatType, OPSETS, type ProjectionFormat } from "./graph/emitter.js";
export { readingGrid } from "./graph/joint/chunk-levels.js";
export type { AttentionKind } from "./graph/positions.js";
export { codedBytes } from "./graph/quantised/coded-shape.js";
export { sideBySide } from "./graph/side-by-side.js";
export { emitJoinHeads, emitSplitHeads } from "./graph/split-heads.js";
export {
  attentionKind,
  sharedAttentionKind,
  storedCache,
  unfoldedAttentionKind,
} from "./graph/stored-cache.js";
export { embeddingGraph, type WindowEmbedding, windowEmbedding } from "./graph/window-embedding.js";
export {
  type BlockWindow,
  HIDDEN_IN,
  HIDDEN_OUT,
  type MemoryModel,
  type WindowGraph,
  windowContext,
  windowGraph,
} from "./graph/window-graph.js";
