import {
  type AttributeProto,
  type GraphProto,
  AttributeProto_AttributeType as Kind,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation,
  type ValueInfoProto,
} from "onnx-buf";
import { type DataType, dataTypeOf } from "./data-type.js";
import { type DecodedModel, decodeModel, textOf } from "./decode-model.js";
import { type ExternalLocation, parseLocation } from "./external-location.js";
import type {
  AttributeValue,
  GraphBody,
  GraphNode,
  GraphValue,
  GraphView,
  Initializer,
} from "./graph-view.js";
import { listedBytes } from "./listed-bytes.js";
import { OnnxError } from "./onnx-error.js";
import { shown, shownDims } from "./shown.js";
import { type TensorValue, tensorBytes } from "./tensor-value.js";

/**
 * Reads an ONNX model into plain data. Weights inside it are views of `bytes`, not copies. Integers of more than 53 bits
 * are rounded.
 *
 * The model is untrusted: locations of external data are paths inside its folder, and sizes fit their tensors.
 *
 * @throws {OnnxError} `malformed-model` when the bytes are not an ONNX model, or one with such a fault.
 */
export function readModel(bytes: Uint8Array): GraphView {
  return viewModel(decodeModel("readModel", bytes));
}

/** The same of a model that is decoded. */
export function viewModel({ graph, ...model }: DecodedModel): GraphView {
  return {
    irVersion: Number(model.irVersion),
    opsets: Object.fromEntries(model.opsetImport.map((set) => [set.domain, Number(set.version)])),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
    ...graphBody(graph),
  };
}

const graphBody = ({ node, input, output, initializer: tensors }: GraphProto): GraphBody => ({
  nodes: node.map(graphNode),
  inputs: input.map(graphValue),
  outputs: output.map(graphValue),
  initializers: new Map(tensors.map((tensor) => [tensor.name, initializer(tensor)])),
});

const graphNode = (node: NodeProto): GraphNode => ({
  operator: node.opType,
  domain: node.domain,
  name: node.name,
  inputs: node.input,
  outputs: node.output,
  attributes: Object.fromEntries(
    node.attribute.map((attribute) => [attribute.name, attributeValue(attribute)]),
  ),
});

function attributeValue(attribute: AttributeProto): AttributeValue {
  switch (attribute.type) {
    case Kind.INT:
      return Number(attribute.i);
    case Kind.FLOAT:
      return { float: attribute.f };
    case Kind.STRING:
      return textOf(attribute.s);
    case Kind.INTS:
      return attribute.ints.map(Number);
    case Kind.FLOATS:
      return { floats: attribute.floats };
    case Kind.TENSOR:
      return (attribute.t && valueInside(`attribute ${shown(attribute.name)}`, attribute.t)) ?? "<TENSOR>";
    case Kind.GRAPH:
      return attribute.g === undefined
        ? "<GRAPH>"
        : { graph: { name: attribute.g.name, ...graphBody(attribute.g) } };
    default:
      return `<${Kind[attribute.type]}>`;
  }
}

function graphValue(value: ValueInfoProto): GraphValue {
  const tensor = value.type?.value.case === "tensorType" ? value.type.value.value : undefined;
  const dims = tensor?.shape?.dim.map(({ value: dim }) => {
    if (dim.case === "dimValue") return Number(dim.value);
    return dim.case === "dimParam" ? dim.value : "?";
  });
  return { name: value.name, type: dataTypeOf(tensor?.elemType ?? 0), dims };
}

function initializer(tensor: TensorProto): Initializer {
  const what = `initializer ${shown(tensor.name)}`;
  return {
    name: tensor.name,
    type: dataTypeOf(tensor.dataType),
    dims: tensor.dims.map(Number),
    location: isExternal(tensor) ? externalLocation(what, tensor) : undefined,
    value: valueInside(what, tensor),
  };
}

const isExternal = (tensor: TensorProto): boolean =>
  tensor.dataLocation === TensorProto_DataLocation.EXTERNAL;

function externalLocation(what: string, tensor: TensorProto): ExternalLocation {
  const type = dataTypeOf(tensor.dataType);
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  return parseLocation(
    `readModel: ${what}`,
    entries,
    type && knownBytes(what, type, tensor.dims.map(Number)),
  );
}

/** What lies in the model itself: bytes as they are, or a list of numbers; none for external data. */
function valueInside(what: string, tensor: TensorProto): TensorValue | undefined {
  const type = dataTypeOf(tensor.dataType);
  if (type === undefined || isExternal(tensor)) return undefined;
  const bytes = tensor.rawData.byteLength > 0 ? tensor.rawData : listedBytes(type, tensor);
  const { byteLength } = bytes;
  if (byteLength === 0) return undefined;
  const dims = tensor.dims.map(Number);
  const expected = knownBytes(what, type, dims);
  if (byteLength === expected) return { type, dims, bytes };
  throw new OnnxError(
    "malformed-model",
    `readModel: ${what}: expected ${expected} bytes for ${type} ${shownDims(dims)}, found ${byteLength}`,
  );
}

function knownBytes(what: string, type: DataType, dims: readonly number[]): number {
  const bytes = tensorBytes(type, dims);
  if (bytes !== undefined) return bytes;
  throw new OnnxError(
    "malformed-model",
    `readModel: ${what}: expected dimensions with a product below 2^53, found ${shownDims(dims)}`,
  );
}
