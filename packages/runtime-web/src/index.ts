export { fetchModel } from "./fetch-model.js";
export { webProvider } from "./web-provider.js";
export type { ExecutionProvider, OrtWeb } from "./web-session.js";
