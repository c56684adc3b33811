export { float, floats } from "./attributes.js";
export { type DataType, dataTypeCode, dataTypeOf, elementBytes } from "./data-type.js";
export { extendModel } from "./extend-model.js";
export { type ByteSink, createExternalDataWriter, type ExternalDataWriter } from "./external-data.js";
export type { ExternalLocation } from "./external-location.js";
export { extractModel } from "./extract-model.js";
export { createGraphBuilder, type GraphBuilder } from "./graph-builder.js";
export type { GraphBranch, GraphScope, GraphTensors, NodeOptions } from "./graph-scope.js";
export type {
  AttributeValue,
  FloatAttribute,
  FloatsAttribute,
  GraphAttribute,
  GraphBody,
  GraphNode,
  GraphValue,
  GraphView,
  Initializer,
  Subgraph,
  ValueDims,
} from "./graph-view.js";
export { OnnxError, type OnnxErrorCode } from "./onnx-error.js";
export { readModel } from "./read-model.js";
export { type PieceBuffers, pieceBuffers, type TensorStream, writeStream } from "./tensor-stream.js";
export { float32Value, int64Value, type TensorValue, tensorValue } from "./tensor-value.js";
export { valuesReadBy } from "./values-read-by.js";
export {
  inlineWeights,
  type MemoryWeights,
  memoryWeights,
  type StoredTensor,
  sharedWeights,
  type WeightStore,
} from "./weight-store.js";
