export {
  type AttributeValue,
  type FloatAttribute,
  type FloatsAttribute,
  float,
  floats,
} from "./attributes.js";
export { type DataType, dataTypeCode, dataTypeOf, elementBytes } from "./data-type.js";
export { type ByteSink, createExternalDataWriter, type ExternalDataWriter } from "./external-data.js";
export type { ExternalLocation } from "./external-location.js";
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
  inlineWeights,
  type MemoryWeights,
  memoryWeights,
  type WeightStore,
} from "./weight-store.js";
