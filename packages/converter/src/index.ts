export { allocateBudget, type BudgetProgress } from "./budgets/allocate-budget.js";
export type { Budget, BudgetContext, TextBudget, TextBudgetContext, WeightBudget } from "./budgets/budget.js";
export { budgets, findBudget } from "./budgets/index.js";
export type { RankGrid } from "./budgets/rank-grid.js";
export {
  type Checkpoint,
  type FolderSource,
  openCheckpoint,
  type TensorSample,
} from "./checkpoint/checkpoint.js";
export { loadBlock, loadEmbedding, loadHead } from "./checkpoint/load-weights.js";
export { type ModelConfig, readConfig } from "./checkpoint/read-config.js";
export { ConverterError, type ConverterErrorCode } from "./converter-error.js";
export type { Family } from "./families/family.js";
export { families } from "./families/index.js";
export { type BlockMath, type BlockTasks, createBlockMath, inlineBlockMath } from "./fold/block-math.js";
export { type Calibrator, startCalibration } from "./fold/calibrator.js";
export { foldAttention, type LayerBases } from "./fold/fold-attention.js";
export { chooseBases, type FoldedLayer, type FoldLayerInput, foldLayer } from "./fold/fold-layer.js";
export { foldModel, type ModelOutput } from "./fold/fold-model.js";
export type { FoldProgress, FoldStep } from "./fold/progress.js";
export { createDecoderGraph, type DecoderGraph } from "./graph/decoder-graph.js";
export { type Dtype, type DtypeTraits, dtypes } from "./graph/dtype.js";
export type { FloatType, ProjectionFormat } from "./graph/emitter.js";
export type { Tap } from "./graph/taps.js";
export type { FinishedBlock, FoldJournal, JournalStream } from "./journal/fold-journal.js";
export { DEFAULT_METHOD, findMethod, methods } from "./methods/index.js";
export type { Basis, Group, Method, Side, Spans } from "./methods/method.js";
export type {
  AttentionWeights,
  BlockWeights,
  CacheShape,
  EmbeddingWeights,
  HeadWeights,
  Linear,
} from "./model/decoder-weights.js";
export type { ModelShape } from "./model/model-shape.js";
export type { ModelTarget } from "./output/model-target.js";
export { type OnnxOutput, onnxOutput } from "./output/onnx-output.js";
export { type PlanJournal, writeFiles } from "./output/write-files.js";
export type { FoldPlan, LayerPlan, SidePlan } from "./plan/fold-plan.js";
export { planFold } from "./plan/plan-fold.js";
export { type OnnxProducts, onnxProducts } from "./products/onnx-products.js";
