export { ADAPTED_PARTS, type TrainingProgress } from "@kvfold/tuning";
export { allocateBudget, type BudgetProgress } from "./budgets/allocate-budget.js";
export type { Budget, BudgetContext, TextBudget, TextBudgetContext, WeightBudget } from "./budgets/budget.js";
export { budgets, findBudget } from "./budgets/index.js";
export type { RankGrid } from "./budgets/rank-grid.js";
export { ConverterError, type ConverterErrorCode } from "./converter-error.js";
export { type BlockMath, createBlockMath } from "./fold/block-math.js";
export { foldModel } from "./fold/fold-model.js";
export { type GradientProgress, lossMoments } from "./fold/loss-moments.js";
export type { FoldProgress, FoldStep } from "./fold/progress.js";
export type { GradientTap, Tap } from "./graph/taps.js";
export type { FinishedBlock, FoldJournal, JournalStream } from "./journal/fold-journal.js";
export type { Heal } from "./methods/heal.js";
export { DEFAULT_METHOD, findMethod, methods } from "./methods/index.js";
export type {
  Basis,
  Group,
  GroupContext,
  JointBasis,
  JointGroup,
  Method,
  Side,
  SpanContext,
  Spans,
} from "./methods/method.js";
export { groupSpans, spanFor } from "./methods/spans.js";
export { writeFiles } from "./output/write-files.js";
export type { BudgetChoice } from "./plan/budget-name.js";
export type { Chunk } from "./plan/chunk.js";
export { type CacheType, type FittedContext, fitContext } from "./plan/fit-context.js";
export type { CacheBits, FoldPlan, Format, LayerPlan, Metric, SidePlan } from "./plan/fold-plan.js";
export { idleDtypes } from "./plan/held-dtypes.js";
export { planFold } from "./plan/plan-fold.js";
export { roundsToFourBits, type StoredDtype } from "./plan/stored-dtype.js";
export { type OnnxProducts, onnxProducts } from "./products/onnx-products.js";
export type { AdapterPlace } from "./tune/adapters-folder.js";
export type { TuneSettings } from "./tune/tune-model.js";
