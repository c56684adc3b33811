import { create, equals, toBinary } from "@bufbuild/protobuf";
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "onnx-buf";
import type { ExternalLocation } from "./external-location.js";
import { nodeProto } from "./graph-proto.js";
import {
  createScope,
  defineName,
  type GraphParts,
  type GraphScope,
  type GraphTensors,
  type ModelNames,
} from "./graph-scope.js";
import { int64 } from "./int64.js";
import { OnnxError } from "./onnx-error.js";
import { tensorProto } from "./tensor-proto.js";
import { int64Value, type TensorValue } from "./tensor-value.js";
import { valueInfo } from "./value-info.js";
import { inlineWeights, type WeightStore } from "./weight-store.js";

/** Builds the graph of a model. */
export interface GraphBuilder extends GraphScope {
  /** The finished model, serialised. The graph may still grow afterwards. */
  toBytes(): Uint8Array;
}

export declare namespace createGraphBuilder {
  interface Options {
    readonly graphName: string;
    /** Version of each operator set, by domain. */
    readonly opsets: Readonly<Record<string, number>>;
    /** Version of the file format. 10 is the newest that ONNX Runtime 1.21 reads. */
    readonly irVersion?: number;
    readonly producer?: string;
    readonly weights?: WeightStore;
    /** Free-form metadata of the model. */
    readonly metadata?: Readonly<Record<string, string>>;
  }
}

/**
 * Starts a graph.
 *
 * @throws {OnnxError} `invalid-graph` from the builder's methods when a name is used twice or a value is unknown.
 */
export function createGraphBuilder(options: createGraphBuilder.Options): GraphBuilder {
  const { graphName, weights = inlineWeights } = options;
  const graph = create(GraphProtoSchema, { name: graphName });
  const names: ModelNames = { graphName, values: new Set(), nodes: new Set() };
  const initializers = new Set<string>();
  const constants = new Map<string, TensorProto>();

  const initializer = (name: string, value: TensorValue, location?: ExternalLocation): TensorProto => {
    defineName(names, "value", name);
    initializers.add(name);
    const tensor = tensorProto(name, value, location);
    graph.initializer.push(tensor);
    return tensor;
  };
  const constant: GraphTensors["constant"] = (name, value) => {
    const known = constants.get(name);
    if (known === undefined) constants.set(name, initializer(name, value));
    else requireEqual(graphName, known, tensorProto(name, value, undefined));
    return name;
  };
  const tensors: GraphTensors = {
    weight: (name, value) => initializer(name, value, weights.store(name, value)).name,
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
  return {
    ...createScope(names, tensors, parts, (name) => initializers.has(name)),
    toBytes: () => serialise(graph, options),
  };
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

function serialise(graph: GraphProto, options: createGraphBuilder.Options): Uint8Array {
  const { opsets, irVersion = 10, producer = "kvfold", metadata = {} } = options;
  const opsetImport = Object.entries(opsets).map(([domain, version]) =>
    create(OperatorSetIdProtoSchema, {
      domain,
      version: int64(`version of operator set "${domain}"`, version),
    }),
  );
  const metadataProps = Object.entries(metadata).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  const model = create(ModelProtoSchema, {
    irVersion: int64("irVersion", irVersion),
    producerName: producer,
    opsetImport,
    graph,
    metadataProps,
  });
  return toBinary(ModelProtoSchema, model);
}
