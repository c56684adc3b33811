export { chooseDevice, type DeviceChoice } from "./choose-device.js";
export { type ExecutionProvider, executionProviders } from "./execution-provider.js";
export { nodeProvider } from "./node-provider.js";
export type { OrtNode } from "./ort-node.js";
