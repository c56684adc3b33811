import { create, equals, toBinary } from "@bufbuild/protobuf";
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "onnx-buf";
import { type AttributeValue, attributeProto } from "./attributes.js";
import type { DataType } from "./data-type.js";
import type { ExternalLocation } from "./external-location.js";
import { int64 } from "./int64.js";
import { OnnxError } from "./onnx-error.js";
import { tensorProto } from "./tensor-proto.js";
import { int64Value, type TensorValue } from "./tensor-value.js";
import { valueInfo } from "./value-info.js";
import { inlineWeights, type WeightStore } from "./weight-store.js";

/** Builds one ONNX graph, a node at a time, in execution order. Values are named by strings, as in ONNX. */
export interface GraphBuilder {
  /** Declares a graph input; a string dimension is symbolic. Returns `name`. */
  input(name: string, type: DataType, dims: readonly (number | string)[]): string;
  /** Declares an existing value as a graph output. Returns `name`. */
  output(name: string, type: DataType, dims: readonly (number | string)[]): string;
  /** Adds a node with one output and returns that output's name. An empty input name is an absent optional input. */
  node(operator: string, inputs: readonly string[], options: NodeOptions): string;
  /** Adds a node whose outputs get the given names; an empty one is an absent optional output. */
  nodeWithOutputs(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    options: NodeOptions,
  ): readonly string[];
  /** Adds an initializer whose bytes go to the weight store. Returns `name`. */
  weight(name: string, value: TensorValue): string;
  /** A small int64 tensor inside the model, a vector by default; those of equal values and dimensions are shared. */
  int64(values: readonly number[], dims?: readonly number[]): string;
  /**
   * A small tensor inside the model under a name of its own. Adding an equal one again returns the first.
   *
   * @throws {OnnxError} `invalid-graph` when the name has another value.
   */
  constant(name: string, value: TensorValue): string;
  /** The finished model, serialised. The graph may still grow afterwards. */
  toBytes(): Uint8Array;
}

/** What a node needs besides its operator and inputs. */
export interface NodeOptions {
  /** Unique name; the first output is called `<name>/output_0` unless named otherwise. */
  readonly name: string;
  /** Operator domain: `""` is ai.onnx (default), `"com.microsoft"` ONNX Runtime's own operators. */
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
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
  const values = new Set<string>();
  const nodeNames = new Set<string>();
  const constants = new Map<string, TensorProto>();

  const define = (name: string): string => {
    if (values.has(name))
      throw new OnnxError("invalid-graph", `graph ${graphName}: value ${name} is defined twice`);
    values.add(name);
    return name;
  };
  const require = (name: string, user: string): void => {
    if (name === "" || values.has(name)) return;
    throw new OnnxError(
      "invalid-graph",
      `graph ${graphName}: ${user} uses ${name}, which nothing before it defines`,
    );
  };

  const nodeWithOutputs: GraphBuilder["nodeWithOutputs"] = (operator, inputs, outputs, node) => {
    if (nodeNames.has(node.name)) {
      throw new OnnxError("invalid-graph", `graph ${graphName}: node ${node.name} is defined twice`);
    }
    const { name, domain = "", attributes = {} } = node;
    const owner = `graph ${graphName}: node ${name}`;
    const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(owner, key, value));
    nodeNames.add(name);
    for (const input of inputs) require(input, name);
    for (const output of outputs) if (output !== "") define(output);
    graph.node.push(
      create(NodeProtoSchema, {
        opType: operator,
        name,
        domain,
        input: [...inputs],
        output: [...outputs],
        attribute,
      }),
    );
    return outputs;
  };

  const initializer = (name: string, value: TensorValue, location?: ExternalLocation): TensorProto => {
    const tensor = tensorProto(define(name), value, location);
    graph.initializer.push(tensor);
    return tensor;
  };
  const constant: GraphBuilder["constant"] = (name, value) => {
    const known = constants.get(name);
    if (known === undefined) constants.set(name, initializer(name, value));
    else requireEqual(graphName, known, tensorProto(name, value, undefined));
    return name;
  };

  return {
    input(name, type, dims) {
      graph.input.push(valueInfo(define(name), type, dims));
      return name;
    },
    output(name, type, dims) {
      require(name, "the output list");
      graph.output.push(valueInfo(name, type, dims));
      return name;
    },
    node: (operator, inputs, node) => nodeWithOutputs(operator, inputs, [`${node.name}/output_0`], node)[0]!,
    nodeWithOutputs,
    weight: (name, value) => initializer(name, value, weights.store(name, value)).name,
    int64: (list, dims = [list.length]) => constant(int64Name(list, dims), int64Value(list, dims)),
    constant,
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
