import { create } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  type NodeProto,
  NodeProtoSchema,
} from "onnx-buf";
import type { AttributeValue, GraphNode, Subgraph } from "./graph-view.js";
import { int64 } from "./int64.js";
import { OnnxError } from "./onnx-error.js";
import { tensorProto } from "./tensor-proto.js";
import { valueInfo } from "./value-info.js";

/**
 * The protobuf form of a node.
 *
 * @param graphName - Names the graph in errors.
 * @throws {OnnxError} `invalid-graph` for numbers that an attribute's type cannot hold.
 */
export function nodeProto(graphName: string, node: GraphNode): NodeProto {
  const owner = `graph ${graphName}: node ${node.name}`;
  return create(NodeProtoSchema, {
    opType: node.operator,
    name: node.name,
    domain: node.domain,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Object.entries(node.attributes).map(([key, value]) => attributeProto(owner, key, value)),
  });
}

const isList = (value: AttributeValue): value is readonly number[] => Array.isArray(value);

/** The protobuf form of one attribute; `owner` names the node in errors. */
function attributeProto(owner: string, name: string, value: AttributeValue): AttributeProto {
  const what = `${owner}: attribute ${name}`;
  if (typeof value === "number")
    return create(AttributeProtoSchema, { name, type: Kind.INT, i: int(what, value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: utf8(value) });
  if (isList(value)) {
    const ints = value.map((item) => int(what, item));
    return create(AttributeProtoSchema, { name, type: Kind.INTS, ints });
  }
  if ("float" in value)
    return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: float32(what, value.float) });
  if ("floats" in value) {
    const list = value.floats.map((item) => float32(what, item));
    return create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: list });
  }
  if ("graph" in value)
    return create(AttributeProtoSchema, { name, type: Kind.GRAPH, g: subgraphProto(what, value.graph) });
  return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: tensorProto("", value) });
}

/** The graphs that kvfold puts into nodes keep their initializers in the graph around them. */
function subgraphProto(what: string, { name, nodes, inputs, outputs, initializers }: Subgraph): GraphProto {
  if (initializers.size > 0)
    throw new OnnxError(
      "invalid-graph",
      `${what}: expected a graph without initializers, found ${initializers.size}; keep them in the graph around it`,
    );
  const values = (list: Subgraph["inputs"]) =>
    list.map((value) => {
      if (value.type !== undefined) return valueInfo(value.name, value.type, value.dims);
      throw new OnnxError("invalid-graph", `${what}: value ${value.name} has an unknown type`);
    });
  return create(GraphProtoSchema, {
    name,
    node: nodes.map((node) => nodeProto(name, node)),
    input: values(inputs),
    output: values(outputs),
  });
}

/** A copy, since protobuf's type wants an ArrayBuffer of its own. */
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));

function int(what: string, value: number): bigint {
  const hint = Number.isFinite(value) ? " (float and floats make attributes of floats)" : "";
  return int64(`${what}${hint}`, value);
}

/** Protobuf would fail for finite numbers that float32 cannot hold, without naming the attribute. */
function float32(what: string, value: number): number {
  if (!Number.isFinite(value) || Number.isFinite(Math.fround(value))) return value;
  throw new OnnxError("invalid-graph", `${what}: expected a number that float32 can hold, found ${value}`);
}
