import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, type ValueInfoProto } from "onnx-buf";

/** A model without subgraphs, with other names for its nodes, values, tensors and open dimensions; its numbers are the same. */
export function renameModel(bytes: Uint8Array, nameOf: (name: string) => string): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph!;
  // Inputs that a node leaves out are empty names.
  const rename = (name: string) => (name === "" ? "" : nameOf(name));
  graph.name = rename(graph.name);
  for (const node of graph.node) {
    node.name = rename(node.name);
    node.input = node.input.map(rename);
    node.output = node.output.map(rename);
  }
  for (const tensor of graph.initializer) tensor.name = rename(tensor.name);
  for (const value of [...graph.input, ...graph.output, ...graph.valueInfo]) renameValue(value, rename);
  return toBinary(ModelProtoSchema, model);
}

function renameValue(value: ValueInfoProto, rename: (name: string) => string): void {
  value.name = rename(value.name);
  const { type } = value;
  if (type?.value.case !== "tensorType") return;
  for (const dim of type.value.value.shape?.dim ?? [])
    if (dim.value.case === "dimParam") dim.value.value = rename(dim.value.value);
}
