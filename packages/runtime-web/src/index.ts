export {
  chooseExecutionProvider,
  type ExecutionProvider,
  type ProviderChoice,
} from "./choose-execution-provider.js";
export { createWebRuntime, type WebModel, type WebRuntime } from "./create-web-runtime.js";
export { deleteStoredModels } from "./model-storage.js";
export type { OrtWeb } from "./ort-web.js";
export type { LoadedModel } from "./protocol.js";
export { readModelSource } from "./read-model-source.js";
export type { LoadProgress, ModelBytes, StorageUse, WebModelSource } from "./web-model-source.js";
export { type WebProvider, webProvider } from "./web-provider.js";
export type { WebSession } from "./web-session.js";
