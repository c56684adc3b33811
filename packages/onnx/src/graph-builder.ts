import { create, toBinary } from "@bufbuild/protobuf";
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
} from "onnx-buf";
import type { GraphScope } from "./graph-scope.js";
import { growGraph } from "./grow-graph.js";
import { int64 } from "./int64.js";
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
  const names = { graphName, values: new Set<string>(), nodes: new Set<string>() };
  return {
    ...growGraph(graph, names, weights, () => false),
    toBytes: () => serialise(graph, options),
  };
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
