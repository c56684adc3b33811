export { type AttributeValue, type FloatAttribute, float } from "./attributes.js";
export { type DataType, elementBytes } from "./data-type.js";
export { type ByteSink, createExternalDataWriter, type ExternalDataWriter } from "./external-data.js";
export { createGraphBuilder, type GraphBuilder, type NodeOptions } from "./graph-builder.js";
export { OnnxError, type OnnxErrorCode } from "./onnx-error.js";
export {
  type GraphNode,
  type GraphValue,
  type GraphView,
  type Initializer,
  readModel,
} from "./read-model.js";
export { float32Value, int64Value, type TensorValue, tensorValue } from "./tensor-value.js";
export {
  type ExternalLocation,
  inlineWeights,
  type MemoryWeights,
  memoryWeights,
  type WeightStore,
} from "./weight-store.js";
