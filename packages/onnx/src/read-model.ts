import { fromBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType as Kind,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation,
  type ValueInfoProto,
} from "onnx-buf";
import type { AttributeValue } from "./attributes.js";
import { type DataType, dataTypeOf } from "./data-type.js";
import { OnnxError } from "./onnx-error.js";
import { type TensorValue, tensorValue } from "./tensor-value.js";
import type { ExternalLocation } from "./weight-store.js";

/** A node of a graph that was read. */
export interface GraphNode {
  readonly operator: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** An input or output of a graph that was read; a symbolic dimension is a string, an unknown one `"?"`. */
export interface GraphValue {
  readonly name: string;
  readonly type: DataType | undefined;
  readonly dims: readonly (number | string)[];
}

/** An initializer: its bytes are in the model (`value`) or in an external file (`location`). */
export interface Initializer {
  readonly name: string;
  readonly type: DataType | undefined;
  readonly dims: readonly number[];
  readonly location: ExternalLocation | undefined;
  readonly value: TensorValue | undefined;
}

/** What kvfold wants to know of an ONNX file. */
export interface GraphView {
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly initializers: ReadonlyMap<string, Initializer>;
}

/**
 * Reads an ONNX model into plain data. Weights inside it are views of `bytes`, not copies.
 *
 * @throws {OnnxError} `malformed-model` when the bytes are no ONNX model.
 */
export function readModel(bytes: Uint8Array): GraphView {
  const model = decode(bytes);
  const graph = model.graph;
  if (graph === undefined)
    throw new OnnxError("malformed-model", "readModel: the file holds no graph; is it ONNX?");
  return {
    irVersion: Number(model.irVersion),
    opsets: Object.fromEntries(model.opsetImport.map((set) => [set.domain, Number(set.version)])),
    nodes: graph.node.map(graphNode),
    inputs: graph.input.map(graphValue),
    outputs: graph.output.map(graphValue),
    initializers: new Map(graph.initializer.map((tensor) => [tensor.name, initializer(tensor)])),
  };
}

function decode(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new OnnxError(
      "malformed-model",
      "readModel: the bytes are not an ONNX model (truncated or another format)",
      {
        cause,
      },
    );
  }
}

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
      return String.fromCharCode(...attribute.s);
    case Kind.INTS:
      return attribute.ints.map(Number);
    default:
      return `<${Kind[attribute.type]}>`;
  }
}

function graphValue(value: ValueInfoProto): GraphValue {
  const tensor = value.type?.value.case === "tensorType" ? value.type.value.value : undefined;
  const dims = (tensor?.shape?.dim ?? []).map(({ value: dim }) => {
    if (dim.case === "dimValue") return Number(dim.value);
    return dim.case === "dimParam" ? dim.value : "?";
  });
  return { name: value.name, type: dataTypeOf(tensor?.elemType ?? 0), dims };
}

function initializer(tensor: TensorProto): Initializer {
  const type = dataTypeOf(tensor.dataType);
  const dims = tensor.dims.map(Number);
  const location =
    tensor.dataLocation === TensorProto_DataLocation.EXTERNAL ? externalLocation(tensor) : undefined;
  const inside = location === undefined && type !== undefined && tensor.rawData.byteLength > 0;
  return {
    name: tensor.name,
    type,
    dims,
    location,
    value: inside ? tensorValue(type, dims, tensor.rawData) : undefined,
  };
}

function externalLocation(tensor: TensorProto): ExternalLocation {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const path = entries.get("location");
  if (path === undefined) {
    throw new OnnxError("malformed-model", `readModel: external tensor ${tensor.name} names no file`);
  }
  return { path, offset: Number(entries.get("offset") ?? 0), byteLength: Number(entries.get("length") ?? 0) };
}
