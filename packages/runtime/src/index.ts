export type { CachePrecision } from "@kvfold/policies/check";
export { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
export { type AdvancedBatch, advanceBatch } from "./advance-batch.js";
export {
  type BootstrapEstimate,
  bootstrap,
  bootstrapMean,
  bootstrapPerplexity,
  bootstrapRatio,
} from "./bootstrap.js";
export {
  type CacheCoding,
  cacheCodings,
  cachePrecisions,
  groupRotation,
  SMALLEST_SCALE,
} from "./cache-coding.js";
export {
  type CacheKind,
  type CacheLayout,
  type CachePart,
  type CacheSlot,
  type CacheTensor,
  cacheBytesPerToken,
  type LayerCache,
  type QuantisedSlot,
  type RaggedLayer,
  readCacheLayout,
} from "./cache-layout.js";
export { type CausalLM, createCausalLM } from "./causal-lm.js";
export { compareModels, type WindowComparison } from "./compare-models.js";
export { type CopyScore, copyProbe, type TokenScore } from "./copy-probe.js";
export { type CopySource, randomPassages, randomTokens } from "./copy-probe-source.js";
export type { DecodingBatch } from "./decoding-batch.js";
export type { DecodingState } from "./decoding-state.js";
export { formatBytes } from "./format-bytes.js";
export { gaussians } from "./gaussians.js";
export { DEFAULT_NEW_TOKENS, generate } from "./generate.js";
export { type BatchEvent, generateBatch } from "./generate-batch.js";
export { type FinishReason, type Generation, toGeneration } from "./generation.js";
export { createGrowingCache, createInPlaceCache, type KvCache } from "./kv-cache.js";
export type { Logits } from "./logits.js";
export { findKeyTokens, shortContextLosses } from "./long-perplexity.js";
export {
  meanOfSums,
  type Perplexity,
  type PositionRange,
  perplexityOfSums,
  positionRanges,
  sumChosen,
  sumPositions,
  type WindowSum,
} from "./loss-sums.js";
export { modelIdentity } from "./model-identity.js";
export { perplexity } from "./perplexity.js";
export { type PolicyItem, type PolicyScore, policyProbe, type QuestionTime } from "./policy-probe.js";
export {
  type DeviceMemory,
  type ExternalData,
  type Feeds,
  type Fetches,
  type ModelSource,
  type Results,
  type Session,
  type SessionOptions,
  type SessionProvider,
  Tensor,
  type TensorInfo,
  type TensorMemory,
} from "./port.js";
export { createRandom, type Random } from "./random.js";
export {
  type ChatFiles,
  type ChatMessage,
  type ChatTemplate,
  nextTurn,
  readChatTemplate,
} from "./read-chat-template.js";
export { readTextTokenizer, type TokenizerFiles } from "./read-text-tokenizer.js";
export { type RetrievalItem, type RetrievalScore, retrievalProbe } from "./retrieval-probe.js";
export { RuntimeError, type RuntimeErrorCode } from "./runtime-error.js";
export { argmax, sampleToken } from "./sampling.js";
export type { SavedCache } from "./saved-cache.js";
export type { ShiftObstacle } from "./shift-obstacle.js";
export { createTextStream, type TextStream } from "./text-stream.js";
export { beginWith, type TextTokenizer, type Tokenizer, textTokenizer } from "./text-tokenizer.js";
export { type Windows, windowLosses } from "./window-losses.js";
