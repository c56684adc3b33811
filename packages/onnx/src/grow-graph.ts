import { equals } from "@bufbuild/protobuf";
import { type GraphProto, type TensorProto, TensorProtoSchema } from "onnx-buf";
import { nodeProto } from "./graph-proto.js";
import {
  createScope,
  defineName,
  type GraphParts,
  type GraphScope,
  type GraphTensors,
  type ModelNames,
} from "./graph-scope.js";
import { OnnxError } from "./onnx-error.js";
import { storedTensorProto, tensorProto } from "./tensor-proto.js";
import { int64Value, type TensorValue } from "./tensor-value.js";
import { valueInfo } from "./value-info.js";
import type { WeightStore } from "./weight-store.js";

/**
 * A scope that adds to `graph`, the outermost graph of a model.
 *
 * @param names - All names of the model; those that are added go in, too.
 * @param isKnown - Which values the graph had before.
 */
export function growGraph(
  graph: GraphProto,
  names: ModelNames,
  weights: WeightStore,
  isKnown: (name: string) => boolean,
): GraphScope {
  const { graphName } = names;
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const initializer = (name: string, tensor: TensorProto): TensorProto => {
    defineName(names, "value", name);
    initializers.set(name, tensor);
    graph.initializer.push(tensor);
    return tensor;
  };
  const constants = new Map(initializers);
  const constant: GraphTensors["constant"] = (name, value) => {
    const known = constants.get(name);
    const tensor = tensorProto(name, value);
    if (known === undefined) constants.set(name, initializer(name, tensor));
    else requireEqual(graphName, known, tensor);
    return name;
  };
  const weight = (name: string, given: TensorValue | (() => TensorValue)): TensorProto => {
    const known = weights.find?.(name);
    if (known !== undefined)
      return "location" in known ? storedTensorProto(name, known) : tensorProto(name, known);
    const value = typeof given === "function" ? given() : given;
    const location = weights.store(name, value);
    return location === undefined
      ? tensorProto(name, value)
      : storedTensorProto(name, { type: value.type, dims: value.dims, location });
  };
  const tensors: GraphTensors = {
    weight: (name, value) => initializer(name, weight(name, value)).name,
    streamedWeight(name, stream, whole) {
      const { type, dims } = stream;
      const known = weights.find?.(name);
      if (known !== undefined && !("location" in known)) return tensors.weight(name, known);
      const location = known?.location ?? weights.stream?.(name, stream);
      if (location === undefined) return tensors.weight(name, whole);
      return initializer(name, storedTensorProto(name, { type, dims, location })).name;
    },
    int64: (list, dims = [list.length]) => constant(int64Name(list, dims), int64Value(list, dims)),
    constant,
  };
  const parts: GraphParts = {
    prepareNode(node) {
      const proto = nodeProto(graphName, node);
      return () => graph.node.push(proto);
    },
    addInput: ({ name, type, dims }) => graph.input.push(valueInfo(name, type, dims)),
    addOutput: ({ name, type, dims }) => graph.output.push(valueInfo(name, type, dims)),
  };
  return createScope(names, tensors, parts, (name) => initializers.has(name) || isKnown(name));
}

/** `1` for a scalar, `[1,2]` for a vector, `[1,2]:[1,2]` for other shapes: values, then dimensions. */
function int64Name(values: readonly number[], dims: readonly number[]): string {
  const list = dims.length === 0 ? `${values[0]}` : `[${values.join(",")}]`;
  return `constants/int64/${list}${dims.length > 1 ? `:[${dims.join(",")}]` : ""}`;
}

function requireEqual(graphName: string, known: TensorProto, value: TensorProto): void {
  if (equals(TensorProtoSchema, known, value)) return;
  throw new OnnxError(
    "invalid-graph",
    `graph ${graphName}: constant ${value.name} has another value already; give this one another name`,
  );
}
