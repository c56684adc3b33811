export { serveRuntime } from "./serve-runtime.js";
