export {
  ADAPTED_PARTS,
  type Adapter,
  type AdapterOptions,
  createAdapters,
  mergeAdapters,
  type Parameter,
  parametersOf,
} from "./adapters.js";
export { loadAdapters, type ModelAdapters, saveAdapters } from "./adapters-file.js";
export type { CacheValue } from "./block-graphs.js";
export { cacheGradients, type LayerGradients, type NextTokens } from "./cache-gradients.js";
export { headGraph, LOSS, type Loss, NEXT_TOKENS } from "./head-graph.js";
export { type TrainingProgress, type TrainingReport, type TrainingSchedule, train } from "./train.js";
export { createTrainer, type Gradients, type Trainer } from "./trainer.js";
export {
  readIdentity,
  restoreState,
  type StateIdentity,
  saveState,
  type TrainingState,
} from "./training-state.js";
export { TuningError, type TuningErrorCode } from "./tuning-error.js";
