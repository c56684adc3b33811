export { nodeProvider } from "./node-provider.js";
export type { OrtNode } from "./node-session.js";
