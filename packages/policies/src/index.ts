export { type Budget, pyramidBudget, uniformBudget } from "./budget.js";
export type { AttentionSums, HeadView, LayerView } from "./cache-view.js";
export { checkPolicies } from "./check-policies.js";
export { attentionOf, attentionSumsOf, keysOf, queriesOf, valuesOf } from "./head-attention.js";
export { scoreInOrder } from "./in-order.js";
export { keepBest } from "./keep-best.js";
export { keptIndices } from "./kept-indices.js";
export type { PolicyText } from "./options.js";
export { parsePolicies } from "./parse-policies.js";
export { corm } from "./policies/corm.js";
export { decoquant } from "./policies/decoquant.js";
export { expected } from "./policies/expected.js";
export { fastgen } from "./policies/fastgen.js";
export { keydiff } from "./policies/keydiff.js";
export { knorm } from "./policies/knorm.js";
export { kvmerger } from "./policies/kvmerger.js";
export { observed } from "./policies/observed.js";
export { random } from "./policies/random.js";
export { pyramidkv, snapkv } from "./policies/snapkv.js";
export { stored } from "./policies/stored.js";
export { streaming } from "./policies/streaming.js";
export { think } from "./policies/think.js";
export { tova } from "./policies/tova.js";
export {
  ALL_TOKENS,
  type CachePrecision,
  type DroppedTokens,
  type HeadChange,
  type KeptTokens,
  type LayerBudget,
  type LayerChange,
  type Policy,
  type PolicyAction,
  type PolicyNeeds,
  type Scorer,
} from "./policy.js";
export { PolicyError } from "./policy-error.js";
export { type PolicyEntry, policyEntries } from "./registry.js";
export {
  type AttentionRows,
  attentionRows,
  lastPlaces,
  type QueryPlaces,
  storedAttention,
  type VisitRow,
} from "./scores/attention-rows.js";
export { bestIndices } from "./scores/best-indices.js";
export {
  type ChunkScore,
  chunkScores,
  highestChunks,
  maxOfChunk,
  meanOfChunk,
} from "./scores/chunk-scores.js";
export { cormKept, NEVER_IMPORTANT, noteImportance } from "./scores/corm.js";
export {
  type DecoQuantised,
  decoDequantise,
  decoQuantise,
  decoRound,
  dequantiseRows,
  type QuantisedRows,
  quantiseRows,
} from "./scores/deco-quant.js";
export { expectedAttentionScores } from "./scores/expected-attention.js";
export { type HeadPolicy, type HeadProfile, profileHeads, type TokenClass } from "./scores/fast-gen.js";
export type { HeadRows } from "./scores/head-rows.js";
export { keyDiffScores } from "./scores/key-diff.js";
export { keyNormScores } from "./scores/key-norms.js";
export {
  type MergedRows,
  type MergingSets,
  mergeSets,
  mergingSets,
  mergingSetsWithin,
  neighbourSimilarities,
} from "./scores/kv-merger.js";
export {
  fitLinearScorer,
  kvzapTargets,
  type LinearScorer,
  linearScores,
  type ScorerSums,
  scorerSums,
} from "./scores/linear-scorer.js";
export {
  attentionSums,
  observedAttentionScores,
  type SummedAttention,
} from "./scores/observed-attention.js";
export { averagePool, maxPool, type Pool } from "./scores/pooling.js";
export { pyramidBudgets } from "./scores/pyramid-budgets.js";
export { type QueryMoments, queryMoments, turnMoments } from "./scores/query-moments.js";
export { snapKvScores } from "./scores/snap-kv.js";
export { streamingLlmScores } from "./scores/streaming-llm.js";
export { thinkChannels } from "./scores/think.js";
export { tovaScores } from "./scores/tova.js";
